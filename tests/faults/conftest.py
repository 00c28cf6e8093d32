"""What tests of faults share."""

from collections.abc import Callable

import pytest


@pytest.fixture
def tell(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Show a line at once, whatever pytest captures: these tests run long, and what they count matters."""

    def show(line: str) -> None:
        with capfd.disabled():
            print(f"\n  {line}", end="", flush=True)

    return show
