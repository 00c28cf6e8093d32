"""Settings of routing."""

from pydantic import BaseModel, ConfigDict, Field

from snowrail_kit.settings import ServiceSettings
from snowrail_routing.domain import RailOffer

MAX_ATOMS = 2**256 - 1


class RailSettings(BaseModel):
    """A rail and what it can carry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rail: str = Field(pattern="^[a-z][a-z0-9_]{1,63}$")
    enabled: bool = True
    """Whether the rail is on when it is first seen; administrators switch it afterwards."""
    available: bool = True
    """False: declared, but nothing carries it yet. It is never chosen and cannot be switched on."""
    chain_ids: tuple[int, ...] = ()
    tokens: tuple[str, ...] = ()
    smallest_atoms: int = Field(default=1, ge=1)
    largest_atoms: int = Field(default=MAX_ATOMS, ge=1)
    cost: float = Field(default=0.0, ge=0, le=1)
    risk: float = Field(default=0.0, ge=0, le=1)

    def offer(self) -> RailOffer:
        """Return the rail as the domain sees it."""
        return RailOffer(
            self.rail,
            frozenset(self.chain_ids),
            frozenset(self.tokens),
            self.smallest_atoms,
            self.largest_atoms,
            self.cost,
            self.risk,
        )


class Settings(ServiceSettings):
    """Beyond the common ones."""

    rails: tuple[RailSettings, ...] = (
        RailSettings(rail="evm_escrow", chain_ids=(31337, 338, 25)),
        RailSettings(rail="stripe", enabled=False, available=False),
        RailSettings(rail="amazon_pay", enabled=False, available=False),
        RailSettings(rail="solana", enabled=False, available=False),
    )
    """As JSON. A rail that is not here is never chosen."""
