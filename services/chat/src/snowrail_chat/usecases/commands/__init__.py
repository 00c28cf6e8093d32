"""What each command does: a handler takes all lines of a batch that mean it."""

from collections.abc import Awaitable, Callable, Sequence

from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_chat.usecases.commands import (
    account,
    alerts,
    contacts,
    devices,
    notifications,
    pay,
    payments,
    plans,
    requests,
    settings,
    templates,
)

Handler = Callable[[Sequence[Understood], Batch], Awaitable[None]]

HANDLERS: dict[str, Handler] = {
    "contacts add": contacts.add,
    "contacts remove": contacts.remove,
    "contacts": contacts.show,
    "settings zone": settings.set_zone,
    "settings currency": settings.set_currency,
    "settings": settings.show,
    "template save": templates.save,
    "template delete": templates.delete,
    "template list": templates.show,
    "template run": templates.run,
    "pay": pay.pay,
    "recurring setup": pay.set_up_recurring,
    "recurring list": plans.show_recurring,
    "recurring pause": plans.pause,
    "recurring resume": plans.resume,
    "recurring cancel": payments.cancel,
    "schedule list": plans.show_schedule,
    "request": requests.make,
    "requests": requests.show,
    "requests open": requests.open_,
    "alert": alerts.create,
    "alerts": alerts.show,
    "alerts delete": alerts.delete,
    "notifications": notifications.show,
    "notifications set": notifications.set_preference,
    "notifications quiet": notifications.set_quiet_hours,
    "device approve": devices.approve,
    "device deny": devices.deny,
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
