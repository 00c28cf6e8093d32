"""Gas stays what the committed snapshot says, within a few percent."""

import json
import os

from .chains import Chain
from .gas import SNAPSHOT, TOLERANCE_PERCENT, measure


def test_gas_is_as_in_the_snapshot(real_chain: Chain) -> None:
    measured = measure(real_chain)
    if os.environ.get("SNOWRAIL_GAS_SNAPSHOT") == "write":
        SNAPSHOT.write_text(json.dumps(measured, indent=1, sort_keys=True) + "\n", "utf-8")
    snapshot: dict[str, int] = json.loads(SNAPSHOT.read_text("utf-8"))
    assert set(measured) == set(snapshot)
    off = {
        name: (snapshot[name], used)
        for name, used in measured.items()
        if abs(used - snapshot[name]) * 100 > TOLERANCE_PERCENT * snapshot[name]
    }
    assert not off, f"gas differs from the snapshot (`make gas` writes it again): {off}"
