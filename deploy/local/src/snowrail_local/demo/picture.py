"""A terminal's lines as a picture (SVG)."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from snowrail_local.demo.screen import Line, Style

_COLUMN_PIXELS = 7.83
_LINE_PIXELS = 18
_MARGIN_PIXELS = 18
_BAR_PIXELS = 40
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace"
_COLOURS = {
    Style.PLAIN: "#d7dee8",
    Style.TITLE: "#ffffff",
    Style.TYPED: "#7ee0f5",
    Style.FAINT: "#7d8aa0",
    Style.NAME: "#e3c07b",
    Style.GOOD: "#8fd694",
    Style.BAD: "#f28b82",
    Style.WALLET: "#d3a4f0",
}
_BOLD = (Style.TITLE, Style.TYPED)


def picture_of(lines: Sequence[Line], title: str) -> str:
    """Return lines as an SVG document that looks like a terminal."""
    columns = max(sum(len(text) for _, text in line) for line in lines)
    width = round(columns * _COLUMN_PIXELS + 2 * _MARGIN_PIXELS)
    height = _BAR_PIXELS + len(lines) * _LINE_PIXELS + _MARGIN_PIXELS
    styles = "".join(
        f".{style.name.lower()}{{fill:{colour}{';font-weight:600' if style in _BOLD else ''}}}"
        for style, colour in _COLOURS.items()
    )
    first = _BAR_PIXELS + _LINE_PIXELS - 5
    rows = [
        f'<text x="{_MARGIN_PIXELS}" y="{first + number * _LINE_PIXELS}">{_spans(line)}</text>'
        for number, line in enumerate(lines)
        if line
    ]
    dots = "".join(
        f'<circle cx="{_MARGIN_PIXELS + 4 + 18 * number}" cy="20" r="5.5" fill="{colour}"/>'
        for number, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
            f' height="{height}" role="img" aria-label="{escape(title)}" xml:space="preserve">',
            f"<style>text{{font:13px {_FONT}}}{styles}</style>",
            f'<rect width="{width}" height="{height}" rx="10" fill="#101722"/>',
            dots,
            f'<text class="faint" x="{width / 2:.0f}" y="24" text-anchor="middle">{escape(title)}</text>',
            *rows,
            "</svg>\n",
        )
    )


def _spans(line: Line) -> str:
    return "".join(f'<tspan class="{style.name.lower()}">{escape(text)}</tspan>' for style, text in line)
