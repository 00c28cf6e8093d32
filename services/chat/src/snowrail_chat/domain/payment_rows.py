"""Sets of payments as people type them: `@alice 100 CRO; "Rent account" 50 USDC`, or one on each line."""

from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.kinds import READINGS, Kind, Vocabulary
from snowrail_chat.domain.values import (
    Amount,
    ContactName,
    Currency,
    Handle,
    PaymentRow,
    PaymentRows,
    WalletAddress,
)
from snowrail_chat.domain.words import SEPARATOR, Line, Word, quote

MAX_ROWS = 20
_COLUMNS = (Kind.RECIPIENT, Kind.AMOUNT, Kind.CURRENCY)


def read_rows(line: Line, word: Word, vocabulary: Vocabulary) -> PaymentRows:
    """Return the payments that the words of an argument mean.

    Args:
        line: where they stand; a new line in it begins a new payment.
        word: all words of the argument, joined.

    Raises:
        WordProblem: they mean none; it points at the word at fault.
    """
    rows = [_read_row(row, word, vocabulary) for row in _split(line, word)]
    if not rows:
        raise WordProblem("payments_missing", "Say at least one payment, such as @alice 100 CRO.")
    if len(rows) > MAX_ROWS:
        raise WordProblem(
            "payments_too_many", f"A set has at most {MAX_ROWS} payments; this has {len(rows)}."
        )
    return PaymentRows(tuple(rows))


def show_rows(rows: PaymentRows) -> str:
    """Return the words that `read_rows` reads as these payments."""
    return f"{SEPARATOR} ".join(show_row(row) for row in rows.rows)


def show_row(row: PaymentRow) -> str:
    """Return one payment as it is typed."""
    parts = [quote(READINGS[Kind.RECIPIENT].show(row.to)), row.amount.text]
    return " ".join(parts if row.currency is None else [*parts, row.currency.symbol])


def _split(line: Line, word: Word) -> list[list[Word]]:
    rows: list[list[Word]] = [[]]
    before: Word | None = None
    for piece in word.pieces:
        if before is not None and "\n" in line.text[before.column + before.length : piece.column]:
            rows.append([])
        before = piece
        text = piece.text
        ends = not piece.quoted and text.endswith(SEPARATOR)
        if ends:
            text = text.rstrip(SEPARATOR)
        if text or piece.quoted:
            rows[-1].append(
                Word(text, piece.column, piece.length - (len(piece.text) - len(text)), piece.quoted)
            )
        if ends:
            rows.append([])
    return [row for row in rows if row]


def _read_row(row: list[Word], word: Word, vocabulary: Vocabulary) -> PaymentRow:
    if len(row) > len(_COLUMNS):
        raise _at(
            WordProblem(
                "too_many_words", f"A payment ends before '{row[3].text}': type a semicolon between payments."
            ),
            row[3],
            word,
        )
    if len(row) == 1:
        raise _at(WordProblem("argument_missing", f"Say how much '{row[0].text}' is paid."), row[0], word)
    read: list[object] = []
    for kind, column in zip(_COLUMNS, row, strict=False):
        try:
            read.append(READINGS[kind].read(column.text, vocabulary))
        except WordProblem as problem:
            raise _at(problem, column, word) from problem
    to, amount, currency = (*read, None)[:3]
    assert isinstance(to, Handle | WalletAddress | ContactName), "kinds say so"
    assert isinstance(amount, Amount), "kinds say so"
    assert currency is None or isinstance(currency, Currency), "kinds say so"
    return PaymentRow(to, amount, currency)


def _at(problem: WordProblem, column: Word, word: Word) -> WordProblem:
    """Return a problem with one word as one of the whole argument, which alone could be replaced."""
    begin = 0
    for piece in word.pieces:
        if piece.column == column.column:
            break
        begin += len(piece.text) + 1
    return WordProblem(problem.code, str(problem), None, (), begin, len(column.text))
