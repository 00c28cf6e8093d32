"""Why a line could not be run, pointing at the word at fault."""


class CommandError(ValueError):
    """A line that cannot be run as it stands.

    Attributes:
        code: stable code for programs.
        message: what is wrong and what to type instead, for a person.
        column: offset of the offending word in the line, from zero.
        length: characters of the offending word; zero where something is missing.
        suggestions: whole lines that would be understood, to be offered as buttons.
        notes: further lines of help, such as the usage of the command.
    """

    def __init__(
        self,
        code: str,
        message: str,
        column: int = 0,
        length: int = 0,
        suggestions: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.column = column
        self.length = length
        self.suggestions = suggestions
        self.notes = notes


class WordProblem(ValueError):
    """What is wrong with one word, before it is known where in the line it stands.

    Attributes:
        code: stable code for programs.
        replacement: what to put in the word's place so that the line is understood, where that is certain.
        alternatives: what to put there instead, where several things may have been meant.
        start: where in the text the fault lies, for an argument of several words; its beginning otherwise.
        length: characters at fault; all of the text where it is not said.
    """

    def __init__(
        self,
        code: str,
        message: str,
        replacement: str | None = None,
        alternatives: tuple[str, ...] = (),
        start: int = 0,
        length: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.replacement = replacement
        self.alternatives = alternatives
        self.start = start
        self.length = length

    @property
    def replacements(self) -> tuple[str, ...]:
        """All that could stand in the word's place."""
        return (self.replacement, *self.alternatives) if self.replacement else self.alternatives
