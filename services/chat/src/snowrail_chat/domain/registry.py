"""The one list of commands: parsing, permissions, limits, help, autocomplete and documents follow from it."""

from dataclasses import dataclass

from snowrail_chat.domain.kinds import READINGS, Kind


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `count` per `seconds`, per user."""

    count: int
    seconds: int

    def __str__(self) -> str:
        minutes, rest = divmod(self.seconds, 60)
        if rest:
            return f"{self.count} in {self.seconds} s"
        return f"{self.count} per minute" if minutes == 1 else f"{self.count} in {minutes} minutes"


@dataclass(frozen=True, slots=True)
class Argument:
    """One position of a command.

    Attributes:
        help: what it means, as the end of a sentence.
        rest: takes all words that are left.
    """

    name: str
    kind: Kind
    help: str
    required: bool = True
    rest: bool = False

    @property
    def usage(self) -> str:
        """How it stands in a usage line."""
        return f"<{self.name}>" if self.required else f"[{self.name}]"

    @property
    def description(self) -> str:
        """Its meaning and what to type."""
        return f"{self.help}: {READINGS[self.kind].description}"


@dataclass(frozen=True, slots=True)
class Option:
    """A flag with a value out of a few, such as `--acknowledge duplicate`; it may be repeated."""

    name: str
    values: tuple[str, ...]
    help: str

    @property
    def usage(self) -> str:
        """How it stands in a usage line."""
        return f"[--{self.name} {'|'.join(self.values)}]"


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command.

    Attributes:
        name: one word, or two for a command with parts, such as `contacts add`.
        summary: what it does, one sentence.
        roles: any of these may use it.
        limit: how often a user may; None where only the limit on messages holds.
        aliases: other names.
    """

    name: str
    summary: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    roles: frozenset[str] = frozenset({"user"})
    limit: RateLimit | None = None
    examples: tuple[str, ...] = ()
    details: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """The usage line."""
        parts = [f"/{self.name}", *(item.usage for item in self.arguments)]
        return " ".join([*parts, *(item.usage for item in self.options)])


MESSAGE_LIMIT = RateLimit(50, 60)
"""How many lines a user may send, whatever they are."""

ACKNOWLEDGE = "acknowledge"
_INTENT = Argument("id", Kind.INTENT, "the payment")
_LOOKALIKE = "lookalike"
_DUPLICATE = "duplicate"

ACKNOWLEDGEMENTS = {_DUPLICATE: "duplicate_payment", _LOOKALIKE: "lookalike_address"}
"""Warnings by the word that acknowledges them."""

COMMANDS: tuple[CommandSpec, ...] = (
    CommandSpec(
        name="pay",
        summary="Prepare a payment; nothing moves until your wallet has signed it.",
        arguments=(
            Argument("to", Kind.RECIPIENT, "who is paid"),
            Argument("amount", Kind.AMOUNT, "how much"),
            Argument("currency", Kind.CURRENCY, "in which token, CRO if left out", required=False),
        ),
        options=(
            Option(
                ACKNOWLEDGE,
                (_DUPLICATE, _LOOKALIKE),
                "pay although you just made the same payment, or although the address resembles one you know",
            ),
        ),
        limit=RateLimit(10, 60),
        examples=("/pay @alice 100 CRO", '/pay "Rent account" 1250.50 USDC'),
        details="The card shows what will happen and what it costs, and asks for your signature.",
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
        arguments=(_INTENT,),
        examples=("/cancel 1a2b3c4d",),
        details="What is funded or signed already may need a cancellation on chain, which the card offers.",
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
