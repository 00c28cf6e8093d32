"""Every line of code that the threat model leans on exists."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
CITATION = re.compile(r"`([\w./-]+\.(?:py|sol|sql))` `(\w+)`")


def test_what_the_threat_model_cites_exists() -> None:
    cited = CITATION.findall((CHECKOUT / "docs/threat-model.md").read_text())
    assert len(cited) > 40
    missing = [
        f"{file}: {name}"
        for file, name in cited
        if not re.search(
            rf"\b(?:def|function|FUNCTION)\s+{name}\b|^{name}\b",
            (CHECKOUT / file).read_text(),
            re.MULTILINE,
        )
    ]
    assert not missing
