"""Commands about the account: status, wallet, history, help."""

from collections.abc import Sequence

from snowrail_chat.cards.answers import command_help_card, help_card
from snowrail_chat.cards.lists import account_card, history_card, wallet_card
from snowrail_chat.domain import registry
from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.nearness import nearest
from snowrail_chat.domain.progress import OPEN_INTENT
from snowrail_chat.domain.values import Count, Topic
from snowrail_chat.store import views
from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_chat.usecases.commands.payments import preview

_OPEN_ROWS = 10
_HISTORY_ROWS = 10
_WALLET_ROWS = 3


async def status(lines: Sequence[Understood], batch: Batch) -> None:
    """Show payments, or accounts with all that is open."""
    await preview([line for line in lines if "id" in line.command.values], batch)
    accounts = [line for line in lines if "id" not in line.command.values]
    opened = await views.recent(batch.tx, {line.posted.user_id for line in accounts}, OPEN_INTENT, _OPEN_ROWS)
    for line in accounts:
        posted = line.posted
        shown = opened.get(posted.user_id, [])
        card = account_card(
            posted.card_id, posted.handle, posted.address, posted.roles, shown, batch.quotes_of(line.posted)
        )
        batch.answer(posted, card)


async def wallet(lines: Sequence[Understood], batch: Batch) -> None:
    """Show balances as they were read before the transaction."""
    asked = [(line.posted.user_id, line.posted.address, _WALLET_ROWS) for line in lines]
    for line, moved in zip(lines, await views.movements(batch.tx, asked), strict=True):
        posted = line.posted
        balances = None if batch.balances is None else batch.balances.get(posted.address)
        card = wallet_card(posted.card_id, posted.address, balances, moved, batch.quotes_of(line.posted))
        batch.answer(posted, card)


async def history(lines: Sequence[Understood], batch: Batch) -> None:
    """Show the last payments."""
    asked = [(line.posted.user_id, line.posted.address, _count(line)) for line in lines]
    for line, moved in zip(lines, await views.movements(batch.tx, asked), strict=True):
        batch.answer(line.posted, history_card(line.posted.card_id, moved, batch.quotes_of(line.posted)))


async def help_(lines: Sequence[Understood], batch: Batch) -> None:
    """Explain commands."""
    for line in lines:
        topic = line.command.optional("command", Topic)
        if topic is None:
            batch.answer(line.posted, help_card(line.posted.card_id, line.posted.roles))
            continue
        spec = registry.find(topic.name)
        if spec is not None and registry.permitted(spec, line.posted.roles):
            batch.answer(line.posted, command_help_card(line.posted.card_id, spec))
            continue
        known = [spec.name for spec in registry.COMMANDS if registry.permitted(spec, line.posted.roles)]
        problem = WordProblem(
            "unknown_command", f"There is no command /{topic.name}.", nearest(topic.name, known)
        )
        batch.refuse(line.posted, line.command.at("command", problem))


def _count(line: Understood) -> int:
    count = line.command.optional("n", Count)
    return _HISTORY_ROWS if count is None else count.number
