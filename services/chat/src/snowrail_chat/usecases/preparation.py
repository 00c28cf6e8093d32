"""What is found out about a batch of lines before its transaction: their meaning, and what others know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from snowrail_chat.clients import TransactionAnswer, TransactionQuestion
from snowrail_chat.domain.amounts import atoms_of
from snowrail_chat.domain.commands import Command, parse
from snowrail_chat.domain.errors import CommandError, WordProblem
from snowrail_chat.domain.quotes import token_of
from snowrail_chat.domain.values import Amount, IdPrefix
from snowrail_chat.domain.views import IntentView
from snowrail_chat.parts import Parts
from snowrail_chat.store import views
from snowrail_chat.usecases.batch import Balances, Posted, Understood
from snowrail_kit.consumer import Unavailable

log = structlog.get_logger("chat")

Reading = Command | CommandError


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was found out.

    Attributes:
        readings: what each line means, by message.
        balances: of the wallets that were asked for; None when they cannot be read now.
        transactions: what the intent service built; what it did not answer is missing.
    """

    readings: Mapping[UUID, Reading]
    balances: Balances | None
    transactions: Mapping[TransactionQuestion, TransactionAnswer]


async def prepare(posted: Sequence[Posted], parts: Parts) -> Prepared:
    """Read lines, and ask others for what some of them need: once for all, and never for long."""
    readings = {line.message_id: _read(line.text, parts) for line in posted}
    understood = [
        Understood(line, reading)
        for line in posted
        if isinstance(reading := readings[line.message_id], Command)
    ]
    wallets = {line.posted.address for line in understood if line.command.name == "wallet"}
    funding = [line for line in understood if line.command.name in ("deposit", "withdraw")]
    return Prepared(
        readings=readings,
        balances=await _balances(wallets, parts) if wallets else {},
        transactions=await _transactions(funding, parts) if funding else {},
    )


def question_of(command: Command, view: IntentView, parts: Parts) -> TransactionQuestion:
    """Return what /deposit and /withdraw ask the intent service.

    Raises:
        WordProblem: the amount cannot be one of the payment's token.
    """
    if command.name == "withdraw":
        expired = parts.clock.now() > view.expires_at
        return TransactionQuestion(view.intent_id, "return_expired" if expired else "cancel")
    token = token_of(parts.chains, view.token)
    if token is None:
        raise WordProblem("not_open", "The token of this payment is not configured any more.")
    return TransactionQuestion(
        view.intent_id, "deposit", atoms_of(command.value("amount", Amount).text, token)
    )


def _read(text: str, parts: Parts) -> Reading:
    try:
        return parse(text, parts.vocabulary)
    except CommandError as error:
        return error


async def _balances(wallets: set[str], parts: Parts) -> Balances | None:
    try:
        return await parts.balances.read(wallets)
    except Unavailable as error:
        log.warning("balances unavailable", error=str(error), wallets=len(wallets))
        return None


async def _transactions(
    lines: Sequence[Understood], parts: Parts
) -> Mapping[TransactionQuestion, TransactionAnswer]:
    asked = [(line.posted.user_id, line.command.value("id", IdPrefix)) for line in lines]
    questions: list[TransactionQuestion] = []
    for line, found in zip(lines, await views.matching(parts.database, asked), strict=True):
        try:
            questions.extend(question_of(line.command, view, parts) for view in found[:1])
        except WordProblem:  # the line is refused for it inside the transaction
            continue
    return await parts.transactions.build(questions)
