"""The grammar of a line: a command name, then words, quoted strings and flags."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from snowrail_chat.domain.errors import CommandError

_GRAMMAR = r"""
start: _SPACE? COMMAND (_SPACE (FLAG | QUOTED | WORD))* _SPACE?

COMMAND: /\/[^\s"“”]*/
FLAG.2: /(?:--|—)[A-Za-z][A-Za-z-]*(?=\s|$)/
QUOTED: /"(?:\\.|[^"\\])*"|“[^“”]*”/
WORD: /[^\s"“”]+/
_SPACE: /\s+/
"""
"""Phones turn `"` into `“ ”` and `--` into `—` while one types, so both forms are read."""

_PARSER = Lark(_GRAMMAR, parser="lalr", lexer="contextual")
NOT_A_COMMAND = "not_a_command"
"""Code of the error of a line without a slash."""
_ESCAPED = re.compile(r'\\(["\\])')
_PLAIN_WORD = re.compile(r'[^\s"“”]+')
_FLAG_LIKE = re.compile(r"(?:--|—)[A-Za-z]")
SEPARATOR = ";"
"""Ends one payment of a set."""
_QUOTES = '"“”'


@dataclass(frozen=True, slots=True)
class Word:
    """One argument as typed.

    Attributes:
        text: its content, without quotes and escapes.
        column: offset in the line, from zero.
        length: characters it takes in the line, quotes included.
        quoted: whether it stood in quotes; such a word is never a keyword.
        pieces: the words it was joined of, for an argument of several words.
    """

    text: str
    column: int
    length: int
    quoted: bool = False
    pieces: tuple["Word", ...] = ()

    def part(self, start: int, length: int | None) -> "Word":
        """Return the word of the line that holds a stretch of this one's text."""
        if not self.pieces or length is None:
            return self
        if start >= len(self.text):
            return Word("", self.column + self.length, 0)
        end = start + max(length, 1)
        found = [piece for begin, piece in self._placed() if begin < end and start <= begin + len(piece.text)]
        last = found[-1]
        return Word(self.text[start:end], found[0].column, last.column + last.length - found[0].column)

    def _placed(self) -> list[tuple[int, "Word"]]:
        placed: list[tuple[int, Word]] = []
        begin = 0
        for piece in self.pieces:
            placed.append((begin, piece))
            begin += len(piece.text) + 1
        return placed


@dataclass(frozen=True, slots=True)
class Flag:
    """An option's name, such as `--acknowledge`; its value is the next word."""

    name: str
    column: int
    length: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line taken apart."""

    text: str
    command: Word
    items: tuple[Word | Flag, ...]


def read_line(text: str) -> Line:
    """Take a line apart.

    Raises:
        CommandError: it is no command, a quote is not closed, or it holds a character that cannot be seen.
    """
    if not text.lstrip().startswith("/"):
        raise CommandError(
            NOT_A_COMMAND,
            "Commands start with a slash, such as /pay @alice 100 CRO. Type /help to see them all.",
            len(text) - len(text.lstrip()),
            len(text.strip()),
        )
    _refuse_invisible(text)
    try:
        tree = _PARSER.parse(text)
    except UnexpectedInput as error:
        raise _explain(text, error.pos_in_stream or 0) from error
    return _line(text, tree)


def quote(text: str, keywords: Collection[str] = ()) -> str:
    """Return the text as one word of a line, quoted where it has to be.

    Args:
        keywords: words that would mean something else there without quotes.
    """
    is_plain = _PLAIN_WORD.fullmatch(text) and not _FLAG_LIKE.match(text) and not text.endswith(SEPARATOR)
    return text if is_plain and text.lower() not in keywords else in_quotes(text)


def in_quotes(text: str) -> str:
    """Return the text as one quoted word of a line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def join_words(words: Sequence[Word]) -> Word:
    """Return words that follow one another as one."""
    last = words[-1]
    return Word(
        " ".join(word.text for word in words),
        words[0].column,
        last.column + last.length - words[0].column,
        quoted=len(words) == 1 and words[0].quoted,
        pieces=tuple(words),
    )


def replace_word(line: str, word: Word, replacement: str) -> str:
    """Return the line with a word replaced."""
    return line[: word.column] + replacement + line[word.column + word.length :]


def close_open_quote(text: str) -> str:
    """Return a line that is still being typed with its last quote closed, if one is open."""
    try:
        read_line(text)
    except CommandError as error:
        if error.code == "quote_not_closed":
            return text + _closing(text[error.column])
    return text


def _refuse_invisible(text: str) -> None:
    for column, character in enumerate(text):
        if not character.isprintable() and not character.isspace():
            raise CommandError(
                "invisible_character",
                f"A character here cannot be seen (U+{ord(character):04X}). Type the word anew.",
                column,
                1,
            )


def _closing(opening: str) -> str:
    return "”" if opening == "“" else '"'


def _explain(text: str, column: int) -> CommandError:
    if text[column : column + 1] and text[column] in _QUOTES and text[column - 1].isspace():
        return CommandError(
            "quote_not_closed",
            f"The quote opened here is never closed. Add {_closing(text[column])} at its end.",
            column,
            len(text) - column,
        )
    return CommandError(
        "space_missing",
        "Put a space here, or put the whole word into quotes.",
        column,
        1 if column < len(text) else 0,
    )


def _line(text: str, tree: Tree[Token]) -> Line:
    tokens: Sequence[Token] = [child for child in tree.children if isinstance(child, Token)]
    command, *rest = tokens
    return Line(text, _word(command), tuple(_item(token) for token in rest))


def _item(token: Token) -> Word | Flag:
    if token.type == "FLAG":
        return Flag(token.lstrip("-—").lower(), _column(token), len(token))
    return _word(token)


def _word(token: Token) -> Word:
    content = str(token)
    if token.type == "QUOTED":
        content = content[1:-1]
        if token.startswith('"'):
            content = _ESCAPED.sub(r"\1", content)
    return Word(content, _column(token), len(token), quoted=token.type == "QUOTED")


def _column(token: Token) -> int:
    assert token.start_pos is not None, "the lexer knows where a token starts"
    return token.start_pos
