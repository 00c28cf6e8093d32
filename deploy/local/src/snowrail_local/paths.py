"""Where things are in the checkout."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[4]
CONTRACTS_EVM = CHECKOUT / "contracts" / "evm"
