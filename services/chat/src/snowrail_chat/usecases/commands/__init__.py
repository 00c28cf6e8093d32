"""What each command does: a handler takes all lines of a batch that mean it."""

from collections.abc import Awaitable, Callable, Sequence

from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_chat.usecases.commands import account, contacts, pay, payments

Handler = Callable[[Sequence[Understood], Batch], Awaitable[None]]

HANDLERS: dict[str, Handler] = {
    "contacts add": contacts.add,
    "contacts remove": contacts.remove,
    "contacts": contacts.show,
    "pay": pay.pay,
    "confirm": payments.confirm,
    "cancel": payments.cancel,
    "preview": payments.preview,
    "deposit": payments.deposit,
    "withdraw": payments.withdraw,
    "status": account.status,
    "wallet": account.wallet,
    "history": account.history,
    "help": account.help_,
}
"""Handlers by command, in the order they run: a contact that is added can be paid by the next line."""
