"""Commands made of the registry, for property tests."""

from datetime import date, time
from typing import Any

from hypothesis import strategies as st

from snowrail_chain.addresses import checksum_address
from snowrail_chat.domain.commands import Command
from snowrail_chat.domain.conditions import GasCondition, PriceCondition
from snowrail_chat.domain.kinds import Kind, Vocabulary
from snowrail_chat.domain.recurrences import Recurrence
from snowrail_chat.domain.registry import COMMANDS
from snowrail_chat.domain.specs import Argument, CommandSpec, Slot
from snowrail_chat.domain.times import WEEKDAYS, At, In
from snowrail_chat.domain.values import (
    Amount,
    Choice,
    Code,
    ContactName,
    Count,
    Currency,
    Day,
    Fiat,
    Handle,
    IdPrefix,
    Memo,
    PaymentRow,
    PaymentRows,
    QuietHours,
    Signature,
    Topic,
    UnitPrice,
    WalletAddress,
    Zone,
)

VOCABULARY = Vocabulary(("CRO", "WCRO", "USDC", "USDT"))

addresses = st.binary(min_size=20, max_size=20).map(checksum_address)
handles = st.from_regex(r"[a-z0-9_]{3,32}", fullmatch=True).map(Handle)
awkward_names = st.sampled_from(
    ["at", "in", "if", "every", "from", "until", "for", "done", "add", "x;", ";", "10"]
)
names = (
    st.one_of(
        awkward_names,
        st.text(
            st.characters(exclude_categories=["C", "Z"], include_characters=' "\\'), min_size=1, max_size=40
        ),
    )
    .filter(lambda text: text == text.strip() and bool(text))
    .filter(lambda text: not text.startswith("@") and not text.lower().startswith("0x"))
    .map(ContactName)
)
recipients = st.one_of(handles, addresses.map(WalletAddress), names)
amounts = (
    st.from_regex(r"(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?", fullmatch=True)
    .filter(lambda text: bool(text.strip("0.")))
    .map(Amount)
)
prices = st.from_regex(r"(0|[1-9][0-9]{0,9})(\.[0-9]{1,9})?", fullmatch=True).filter(
    lambda text: bool(text.strip("0."))
)
currencies = st.sampled_from(VOCABULARY.currencies).map(Currency)
clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59))
dates = st.dates(date(2026, 1, 1), date(2030, 12, 31))
sides = st.sampled_from(["below", "above"])
ids = st.text("0123456789abcdef", min_size=4, max_size=32).map(IdPrefix)
counts = st.integers(0, 9_999)
rows = st.builds(PaymentRow, recipients, amounts, st.one_of(st.none(), currencies))
memos = st.text(
    st.characters(exclude_categories=["C", "Z"], include_characters=' "\\;'), min_size=1, max_size=140
).filter(lambda text: bool(text.strip()))

VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.RECIPIENT: recipients,
    Kind.PAYEE: st.one_of(handles, addresses.map(WalletAddress)),
    Kind.CONTACT: names,
    Kind.TEMPLATE: names,
    Kind.AMOUNT: amounts,
    Kind.CURRENCY: currencies,
    Kind.INTENT: ids,
    Kind.ALERT: ids,
    Kind.DEVICE: ids,
    Kind.SIGNATURE: st.binary(min_size=65, max_size=200).map(lambda data: Signature(f"0x{data.hex()}")),
    Kind.COUNT: st.integers(1, 50).map(Count),
    Kind.TIMES: st.integers(1, 10_000).map(Count),
    Kind.TOPIC: st.sampled_from(COMMANDS).map(lambda spec: Topic(spec.name)),
    Kind.MOMENT: st.one_of(
        st.builds(At, st.one_of(st.none(), st.sampled_from(["today", "tomorrow", *WEEKDAYS])), clocks),
        st.builds(At, dates, clocks, st.booleans()),
        st.builds(In, counts, counts, counts, counts).filter(lambda value: str(value) != "in"),
    ),
    Kind.CONDITION: st.one_of(
        st.builds(PriceCondition, st.sampled_from(VOCABULARY.currencies), sides, prices),
        st.builds(GasCondition, sides, prices),
    ),
    Kind.RECURRENCE: st.one_of(
        st.builds(Recurrence, st.just("daily"), st.integers(1, 366), clock=clocks),
        st.builds(Recurrence, st.just("weekly"), st.integers(1, 366), st.integers(0, 6), clock=clocks),
        st.builds(
            Recurrence, st.just("monthly"), st.integers(1, 366), st.none(), st.integers(1, 31), clock=clocks
        ),
        st.sampled_from(["0 9 * * 1", "*/5 0-3 1,15 JAN mon"]).map(
            lambda text: Recurrence("cron", cron=text)
        ),
    ),
    Kind.DATE: dates.map(Day),
    Kind.PAYMENTS: st.lists(rows, min_size=1, max_size=5).map(lambda found: PaymentRows(tuple(found))),
    Kind.MEMO: memos.map(Memo),
    Kind.CODE: st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=12, max_size=12).map(Code),
    Kind.ZONE: st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]).map(Zone),
    Kind.FIAT: st.sampled_from(["USD", "EUR"]).map(Fiat),
    Kind.PRICE: prices.map(UnitPrice),
    Kind.QUIET_HOURS: st.one_of(
        st.just(QuietHours(None, None)),
        st.builds(QuietHours, clocks, clocks).filter(lambda hours: hours.starts_at != hours.ends_at),
    ),
}


def values_of(slot: Slot) -> st.SearchStrategy[Any]:
    """Return values that an argument or a clause can have."""
    if isinstance(slot, Argument) and slot.choices:
        return st.sampled_from(slot.choices).map(Choice)
    return VALUES[slot.kind]


@st.composite
def commands(draw: st.DrawFn) -> Command:
    """Return a whole command of the registry."""
    spec: CommandSpec = draw(st.sampled_from(COMMANDS))
    values = {slot.name: draw(values_of(slot)) for slot in spec.slots if slot.required or draw(st.booleans())}
    options = {
        option.name: tuple(draw(st.lists(st.sampled_from(option.values), unique=True, min_size=1)))
        for option in spec.options
        if draw(st.booleans())
    }
    return Command(spec, values, options)
