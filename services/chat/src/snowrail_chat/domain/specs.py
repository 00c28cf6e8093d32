"""What a command is, as it is declared."""

from dataclasses import dataclass

from snowrail_chat.domain.kinds import READINGS, Kind

PAYMENTS_DESCRIPTION = (
    "payments such as '@alice 100 CRO; @bob 50 USDC', each after a semicolon or on its own line"
)


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


def _describe(kind: Kind, choices: tuple[str, ...]) -> str:
    if kind is Kind.CHOICE:
        return " or ".join(choices)
    return PAYMENTS_DESCRIPTION if kind is Kind.PAYMENTS else READINGS[kind].description


@dataclass(frozen=True, slots=True)
class Argument:
    """One position of a command.

    Attributes:
        help: what it means, as the end of a sentence.
        rest: takes all words that are left.
        choices: the words it can be, where its kind is a choice.
    """

    name: str
    kind: Kind
    help: str
    required: bool = True
    rest: bool = False
    choices: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """How it stands in a usage line."""
        shown = "|".join(self.choices) if self.choices else self.name
        return f"<{shown}>" if self.required else f"[{shown}]"

    @property
    def description(self) -> str:
        """Its meaning and what to type."""
        return f"{self.help}: {_describe(self.kind, self.choices)}"


@dataclass(frozen=True, slots=True)
class Clause:
    """Words at the end of a command that begin with a keyword, such as `at tomorrow 9am`.

    Attributes:
        keywords: any of them begins it. Where its kind begins with one of them itself, the keyword is part of
            what is read; otherwise there is one keyword, its name.
        shape: how it stands in a usage line.
        help: what it means, as the end of a sentence.
    """

    name: str
    kind: Kind
    shape: str
    help: str
    keywords: tuple[str, ...] = ()
    required: bool = False

    @property
    def reads_keyword(self) -> bool:
        """Whether the word that begins it is part of what is read."""
        return self.kind in (Kind.MOMENT, Kind.CONDITION, Kind.RECURRENCE)

    @property
    def begins_with(self) -> tuple[str, ...]:
        """The words that begin it."""
        return self.keywords or (self.name,)

    @property
    def usage(self) -> str:
        """How it stands in a usage line."""
        return f"<{self.shape}>" if self.required else f"[{self.shape}]"

    @property
    def description(self) -> str:
        """Its meaning and what to type."""
        return f"{self.help}: {_describe(self.kind, ())}"


Slot = Argument | Clause


@dataclass(frozen=True, slots=True)
class Question:
    """What a dialogue asks for one argument or clause of a command."""

    slot: str
    text: str


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
        questions: what is asked, in this order, where the command is sent without all it needs.
    """

    name: str
    summary: str
    arguments: tuple[Argument, ...] = ()
    clauses: tuple[Clause, ...] = ()
    options: tuple[Option, ...] = ()
    roles: frozenset[str] = frozenset({"user"})
    limit: RateLimit | None = None
    examples: tuple[str, ...] = ()
    details: str = ""
    aliases: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()

    @property
    def usage(self) -> str:
        """The usage line."""
        return " ".join(
            [f"/{self.name}", *(item.usage for item in (*self.arguments, *self.clauses, *self.options))]
        )

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Arguments and clauses."""
        return (*self.arguments, *self.clauses)

    @property
    def keywords(self) -> dict[str, Clause]:
        """Clauses by the words that begin them."""
        return {keyword: clause for clause in self.clauses for keyword in clause.begins_with}

    def slot(self, name: str) -> Slot:
        """Return an argument or a clause by its name."""
        return next(slot for slot in self.slots if slot.name == name)
