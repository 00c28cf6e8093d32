"""The one list of commands: parsing, permissions, limits, help, autocomplete and documents follow from it."""

from typing import Literal

from snowrail_chat.domain.kinds import Kind
from snowrail_chat.domain.specs import Argument, Clause, CommandSpec, Option, Question, RateLimit
from snowrail_events.vocabulary import NotificationChannelName, NotificationType

MESSAGE_LIMIT = RateLimit(50, 60)
"""How many lines a user may send, whatever they are."""

ACKNOWLEDGE = "acknowledge"
_INTENT = Argument("id", Kind.INTENT, "the payment")
_LOOKALIKE = "lookalike"
_DUPLICATE = "duplicate"

ACKNOWLEDGEMENTS = {_DUPLICATE: "duplicate_payment", _LOOKALIKE: "lookalike_address"}
"""Warnings by the word that acknowledges them."""

MISSED: dict[str, Literal["skip", "run_once", "run_all"]] = {
    "skip": "skip",
    "once": "run_once",
    "all": "run_all",
}
"""What may become of missed payments of a recurring one, by the word that says so."""

ALL = "all"
_TYPES = tuple(item.value for item in NotificationType)
_CHANNELS = tuple(item.value for item in NotificationChannelName)
COMMANDS: tuple[CommandSpec, ...] = (
    CommandSpec(
        name="pay",
        summary="Prepare a payment; nothing moves until your wallet has signed it.",
        arguments=(
            Argument("to", Kind.RECIPIENT, "who is paid"),
            Argument("amount", Kind.AMOUNT, "how much"),
            Argument("currency", Kind.CURRENCY, "in which token, CRO if left out", required=False),
        ),
        clauses=(
            Clause("at", Kind.MOMENT, "at <time>", "when it is paid, at once if left out", ("at", "in")),
            Clause("if", Kind.CONDITION, "if <condition>", "what must hold before it is paid"),
        ),
        options=(
            Option(
                ACKNOWLEDGE,
                (_DUPLICATE, _LOOKALIKE),
                "pay although you just made the same payment, or although the address resembles one you know",
            ),
        ),
        limit=RateLimit(10, 60),
        examples=(
            "/pay @alice 100 CRO",
            '/pay "Rent account" 1250.50 USDC',
            "/pay @alice 100 CRO at tomorrow 9am",
            "/pay @alice 100 CRO if CRO < 0.10",
            "/pay @alice 100 CRO in 2 hours if gas < 5000 gwei",
        ),
        details="The card shows what will happen and what it costs, and asks for your signature. Times are "
        "those of your time zone, which /settings shows: a time alone is the next such moment, a day of the "
        "week the nearest one still ahead; a time that the clocks leap over or show twice is refused. Hours "
        "and minutes of `in` are elapsed time, days and weeks keep the time of the clock.",
    ),
    CommandSpec(
        name="confirm",
        summary="Show what has to be signed again, or hand over the signature.",
        arguments=(
            Argument("id", Kind.INTENT, "the payment, the only one that waits if left out", required=False),
            Argument("signature", Kind.SIGNATURE, "what your wallet signed", required=False),
        ),
        examples=("/confirm", "/confirm 1a2b3c4d"),
        details="The console and the command line call this for you once your wallet has signed.",
    ),
    CommandSpec(
        name="cancel",
        summary="Stop a payment before it executes.",
        arguments=(
            Argument("id", Kind.INTENT, "the payment; without it, the dialogue you are in", required=False),
        ),
        examples=("/cancel 1a2b3c4d", "/cancel"),
        details="What is funded or signed already may need a cancellation on chain, which the card offers. "
        "Alone, it leaves the dialogue you are in.",
    ),
    CommandSpec(
        name="preview",
        summary="Show a payment again as it was prepared.",
        arguments=(_INTENT,),
        examples=("/preview 1a2b3c4d",),
    ),
    CommandSpec(
        name="deposit",
        summary="Build the transaction that puts money for a payment into the escrow.",
        arguments=(_INTENT, Argument("amount", Kind.AMOUNT, "how much, in the token of the payment")),
        limit=RateLimit(5, 60),
        examples=("/deposit 1a2b3c4d 100",),
        details="Your wallet sends it. What stays unspent can be taken back with /withdraw.",
    ),
    CommandSpec(
        name="withdraw",
        summary="Build the transaction that returns the unspent deposit of a payment to you.",
        arguments=(_INTENT,),
        limit=RateLimit(5, 60),
        examples=("/withdraw 1a2b3c4d",),
        details="It also forbids every further execution of the payment.",
    ),
    CommandSpec(
        name="status",
        summary="Show where a payment stands, or your account with all that is open.",
        arguments=(Argument("id", Kind.INTENT, "the payment", required=False),),
        examples=("/status", "/status 1a2b3c4d"),
    ),
    CommandSpec(
        name="wallet",
        summary="Show your balances, their value and what happened last.",
        examples=("/wallet",),
    ),
    CommandSpec(
        name="history",
        summary="Show the last payments you made and received.",
        arguments=(Argument("n", Kind.COUNT, "how many, 10 if left out", required=False),),
        examples=("/history", "/history 25"),
    ),
    CommandSpec(
        name="contacts",
        summary="Show your address book.",
        examples=("/contacts",),
        aliases=("contacts list",),
    ),
    CommandSpec(
        name="contacts add",
        summary="Save an address under a name.",
        arguments=(
            Argument("name", Kind.CONTACT, "what you call it"),
            Argument("payee", Kind.PAYEE, "whose address is saved"),
        ),
        options=(Option(ACKNOWLEDGE, (_LOOKALIKE,), "save it although the address resembles one you know"),),
        examples=("/contacts add alice @alice", '/contacts add "Rent account" @landlord'),
        details="The address itself is saved: it stays what it is even if the user changes the name.",
    ),
    CommandSpec(
        name="contacts remove",
        summary="Forget a saved contact.",
        arguments=(Argument("name", Kind.CONTACT, "which one"),),
        examples=("/contacts remove alice",),
    ),
    CommandSpec(
        name="schedule list",
        summary="Show the payments that wait for their time or their condition.",
        examples=("/schedule list",),
        aliases=("schedule",),
    ),
    CommandSpec(
        name="recurring setup",
        summary="Prepare a payment that repeats; one signature covers all of it.",
        arguments=(
            Argument("to", Kind.RECIPIENT, "who is paid"),
            Argument("amount", Kind.AMOUNT, "how much each time"),
            Argument("currency", Kind.CURRENCY, "in which token, CRO if left out", required=False),
        ),
        clauses=(
            Clause(
                "every",
                Kind.RECURRENCE,
                "every … at <time>",
                "how often",
                ("every", "daily", "weekly", "monthly", "cron"),
                required=True,
            ),
            Clause("from", Kind.DATE, "from <date>", "the first day, today if left out"),
            Clause("until", Kind.DATE, "until <date>", "the last day"),
            Clause("for", Kind.TIMES, "for <n> times", "how often at most"),
        ),
        options=(
            Option("missed", tuple(MISSED), "what becomes of a payment that could not be made in time"),
            Option(
                ACKNOWLEDGE,
                (_DUPLICATE, _LOOKALIKE),
                "go on although the payment or the address resembles one you know",
            ),
        ),
        limit=RateLimit(10, 60),
        examples=(
            "/recurring setup @alice 100 CRO every month on 1 at 9:00 for 12 times",
            "/recurring setup @alice 20 USDC every friday at 18:00 until 2027-12-31",
            "/recurring setup @alice 5 CRO every 2 days at 8am from 2027-01-01 for 30 times --missed once",
            "/recurring setup @alice 5 CRO cron 0 9 * * 1",
        ),
        details="Sent without all it needs, it asks for the rest. Times are those of your time zone; a day "
        "that a month lacks is its last one.",
        questions=(
            Question("to", "Who is paid? Type @name, an address or the name of a contact."),
            Question("amount", "How much each time? Type a number, such as 12.5."),
            Question("currency", "In which token? Type its symbol, or skip for the usual one."),
            Question("every", "How often? Such as: every month on 1 at 9:00, every friday at 18:00."),
            Question("for", "How many times? Type a number, or skip for no such limit."),
            Question("until", "Until which day? Type a date such as 2027-12-31, or skip for no last day."),
        ),
    ),
    CommandSpec(
        name="recurring list",
        summary="Show the payments that repeat, with their next run and last result.",
        examples=("/recurring list",),
        aliases=("recurring",),
    ),
    CommandSpec(
        name="recurring pause",
        summary="Hold a payment back until you resume it.",
        arguments=(_INTENT,),
        examples=("/recurring pause 1a2b3c4d",),
    ),
    CommandSpec(
        name="recurring resume",
        summary="Let a payment that is held back go on.",
        arguments=(_INTENT,),
        examples=("/recurring resume 1a2b3c4d",),
    ),
    CommandSpec(
        name="recurring cancel",
        summary="Stop a payment that repeats for good.",
        arguments=(_INTENT,),
        examples=("/recurring cancel 1a2b3c4d",),
    ),
    CommandSpec(
        name="template save",
        summary="Keep a set of payments under a name, such as a payroll.",
        arguments=(
            Argument("name", Kind.TEMPLATE, "what you call it"),
            Argument("payments", Kind.PAYMENTS, "who is paid what", rest=True),
        ),
        examples=("/template save payroll @alice 100 CRO; @bob 50 USDC",),
        details="Sent without payments, it asks for them one by one. A set of the same name is replaced.",
        questions=(
            Question("name", "What do you call it?"),
            Question("payments", "Whom does it pay? Type for example: @alice 100 CRO"),
        ),
    ),
    CommandSpec(
        name="template list",
        summary="Show your sets of payments.",
        examples=("/template list",),
        aliases=("template",),
    ),
    CommandSpec(
        name="template run",
        summary="Prepare every payment of a set; your wallet signs each.",
        arguments=(Argument("name", Kind.TEMPLATE, "which one"),),
        options=(
            Option(
                ACKNOWLEDGE,
                (_DUPLICATE, _LOOKALIKE),
                "go on although payments or addresses resemble ones you know",
            ),
        ),
        limit=RateLimit(5, 60),
        examples=("/template run payroll",),
        details="A line that is sent twice by a bad connection runs it once.",
    ),
    CommandSpec(
        name="template delete",
        summary="Forget a set of payments.",
        arguments=(Argument("name", Kind.TEMPLATE, "which one"),),
        examples=("/template delete payroll",),
    ),
    CommandSpec(
        name="request",
        summary="Ask for a payment: makes a link and a QR code for whoever pays you.",
        arguments=(
            Argument("amount", Kind.AMOUNT, "how much"),
            Argument("currency", Kind.CURRENCY, "in which token, CRO if left out", required=False),
            Argument("memo", Kind.MEMO, "what it is for", required=False, rest=True),
        ),
        limit=RateLimit(10, 60),
        examples=("/request 25 USDC Dinner on Friday", "/request 100"),
        details="Whoever opens the link gets the payment to you prepared and signs it with their own wallet.",
    ),
    CommandSpec(
        name="requests",
        summary="Show what you asked for and who has not expired yet.",
        examples=("/requests",),
        aliases=("requests list",),
    ),
    CommandSpec(
        name="requests open",
        summary="Show a payment that somebody asks you for, ready to be prepared.",
        arguments=(Argument("link", Kind.CODE, "the link or code you were given"),),
        examples=("/requests open abcdefghij23",),
    ),
    CommandSpec(
        name="alert",
        summary="Tell you once when a price passes a mark.",
        arguments=(
            Argument("token", Kind.CURRENCY, "which token"),
            Argument("side", Kind.CHOICE, "on which side of the mark", choices=("above", "below")),
            Argument("price", Kind.PRICE, "the mark, in US dollars"),
        ),
        limit=RateLimit(10, 60),
        examples=("/alert CRO above 0.25", "/alert CRO below 0.10"),
    ),
    CommandSpec(
        name="alerts",
        summary="Show your price alerts.",
        examples=("/alerts",),
        aliases=("alerts list",),
    ),
    CommandSpec(
        name="alerts delete",
        summary="Forget a price alert.",
        arguments=(Argument("id", Kind.ALERT, "which one"),),
        examples=("/alerts delete 1a2b3c4d",),
    ),
    CommandSpec(
        name="notifications",
        summary="Show what you are told, where, and when not.",
        examples=("/notifications",),
        aliases=("notifications list",),
    ),
    CommandSpec(
        name="notifications set",
        summary="Turn a type of notification on or off on a channel.",
        arguments=(
            Argument("type", Kind.CHOICE, "which", choices=(ALL, *_TYPES)),
            Argument(
                "channel",
                Kind.CHOICE,
                "where",
                choices=(ALL, *_CHANNELS),
            ),
            Argument("state", Kind.CHOICE, "whether you are told", choices=("on", "off")),
        ),
        examples=("/notifications set payment_received email on", "/notifications set all telegram off"),
    ),
    CommandSpec(
        name="notifications quiet",
        summary="Say when you are not to be disturbed; critical notifications come all the same.",
        arguments=(Argument("hours", Kind.QUIET_HOURS, "from when to when, in your time zone", rest=True),),
        examples=("/notifications quiet 22:00 07:00", "/notifications quiet off"),
    ),
    CommandSpec(
        name="device approve",
        summary="Say that a sign-in from a new device was your own.",
        arguments=(Argument("id", Kind.DEVICE, "the device"),),
        limit=RateLimit(10, 60),
        examples=("/device approve 1a2b3c4d-0000-4000-8000-0123456789ab",),
        details="Send it from a device that was approved before.",
    ),
    CommandSpec(
        name="device deny",
        summary="Say that a sign-in was not your own: the device is signed out at once.",
        arguments=(Argument("id", Kind.DEVICE, "the device"),),
        limit=RateLimit(10, 60),
        examples=("/device deny 1a2b3c4d-0000-4000-8000-0123456789ab",),
    ),
    CommandSpec(
        name="settings",
        summary="Show your time zone and the currency that amounts are valued in.",
        examples=("/settings",),
        aliases=("settings list",),
    ),
    CommandSpec(
        name="settings zone",
        summary="Set the time zone of your account: you read and type times in it, quiet hours follow it.",
        arguments=(Argument("zone", Kind.ZONE, "which one"),),
        examples=("/settings zone Europe/Berlin",),
    ),
    CommandSpec(
        name="settings currency",
        summary="Set the currency that amounts are valued in.",
        arguments=(Argument("currency", Kind.FIAT, "which one, if prices are known in it"),),
        examples=("/settings currency USD",),
    ),
    CommandSpec(
        name="help",
        summary="Show all commands, or one of them in detail.",
        arguments=(Argument("command", Kind.TOPIC, "which one", required=False, rest=True),),
        examples=("/help", "/help pay"),
    ),
)
"""Every command, in the order in which they are shown."""

_BY_NAME = {name: spec for spec in COMMANDS for name in (spec.name, *spec.aliases)}
FIRST_WORDS = tuple(dict.fromkeys(name.partition(" ")[0] for name in _BY_NAME))
"""First words of all commands."""


def find(name: str) -> CommandSpec | None:
    """Return the command of this name or alias."""
    return _BY_NAME.get(name)


def parts_of(first_word: str) -> tuple[str, ...]:
    """Return the second words that a command with parts takes; empty for one without."""
    return tuple(name.partition(" ")[2] for name in _BY_NAME if name.startswith(f"{first_word} "))


def permitted(spec: CommandSpec, roles: frozenset[str]) -> bool:
    """Return whether somebody with these roles may use the command."""
    return not spec.roles.isdisjoint(roles)
