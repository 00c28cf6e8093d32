"""What is on the screen: cards that still change, shown in place, and those that do not, shown once."""

from dataclasses import dataclass

from snowrail_client.cards import Card
from snowrail_client.terminal.output import printable

LIVE_KINDS = frozenset({"payment", "template"})
ENDED = frozenset({"final", "failed", "blocked", "cancelled", "expired", "refused"})
MAX_LIVE_CARDS = 8


@dataclass(frozen=True, slots=True)
class _Shown:
    card: Card
    text: str


class Board:
    """Cards by id, each in its newest version."""

    def __init__(self) -> None:
        self._live: dict[str, _Shown] = {}
        self._versions: dict[str, int] = {}

    def put(self, card: Card, text: str) -> str | None:
        """Take a card. Returns what is to be printed for good; None where it is shown in place, or is old."""
        if card.version <= self._versions.get(card.card_id, 0) and card.kind in LIVE_KINDS:
            return None
        self._versions[card.card_id] = card.version
        self._live.pop(card.card_id, None)
        text = printable(text)
        if card.kind not in LIVE_KINDS or card.status in ENDED:
            return text
        self._live[card.card_id] = _Shown(card, text)
        return None

    def show_again(self, card: Card, text: str) -> None:
        """Show a card in full that was asked for, even where it is not newer than what is known."""
        if card.kind in LIVE_KINDS and card.status not in ENDED:
            self._live.pop(card.card_id, None)
            self._live[card.card_id] = _Shown(card, printable(text))

    def card(self, card_id: str) -> Card | None:
        """Return a card that still changes."""
        shown = self._live.get(card_id)
        return None if shown is None else shown.card

    def crowded_out(self) -> list[str]:
        """Take the oldest live cards away where there are too many; return them to be printed for good."""
        out: list[str] = []
        while len(self._live) > MAX_LIVE_CARDS:
            out.append(self._live.pop(next(iter(self._live))).text)
        return out

    def lines(self, rows: int, columns: int) -> list[str]:
        """Return the live cards as lines: the one that changed last in full, the others in one line each.

        Args:
            rows, columns: what there is room for.
        """
        shown = list(self._live.values())
        if not shown:
            return []
        brief = [_brief(each.card) for each in shown[:-1]]
        room = max(rows - len(brief), 1)
        full = shown[-1].text.split("\n")
        if len(full) > room:
            full = [*full[: room - 1], f"  … {len(full) - room + 1} more lines: /status shows all"]
        return [line[:columns] for line in [*brief, *full][-rows:]]


def _brief(card: Card) -> str:
    progress = "" if card.progress is None else f" {card.progress[0]}/{card.progress[1]}"
    return printable(f"· {card.title} [{(card.status or '').replace('_', ' ')}]{progress}").replace("\n", " ")
