"""What the service is composed of."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

from snowrail_chain.config import ChainRegistry, TokenConfig, format_token_id
from snowrail_intent.clients import ChainMonitor
from snowrail_intent.domain.intents import Pace
from snowrail_intent.domain.limits import LevelLimits, TokenLimit
from snowrail_intent.domain.orders import OrderPolicy
from snowrail_intent.settings import Settings
from snowrail_kit.clock import Clock
from snowrail_kit.database import Database
from snowrail_kit.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class Parts:
    """Settings and what follows from them, the chain's monitor, the database for reads and for work.

    Attributes:
        limits: by KYC level.
        wake_engine: has waiting intents looked at without waiting for the next pass.
    """

    settings: Settings
    clock: Clock
    database: Database
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
    monitor: ChainMonitor
    chains: ChainRegistry
    orders: OrderPolicy
    pace: Pace
    limits: Mapping[int, LevelLimits]
    wake_engine: Callable[[], None]

    def gas_of(self, token: TokenConfig) -> int:
        """Estimated gas of one execution that pays this token."""
        settings = self.settings
        return settings.execution_gas_native if token.is_native else settings.execution_gas_token


def order_policy(settings: Settings) -> OrderPolicy:
    """Return what the platform puts into orders."""
    return OrderPolicy(
        lifetime=timedelta(seconds=settings.order_lifetime_seconds),
        clock_skew=timedelta(seconds=settings.order_clock_skew_seconds),
        gas_ceiling_percent=settings.gas_ceiling_percent,
        gas_ceiling_least_wei=settings.gas_ceiling_least_wei,
    )


def pace(settings: Settings) -> Pace:
    """Return how soon the engine looks again."""
    return Pace(
        first_seconds=settings.check_first_seconds,
        last_seconds=settings.check_last_seconds,
        margin_seconds=settings.schedule_margin_seconds,
        settle_seconds=settings.cancellation_settle_seconds,
        grace_seconds=settings.occurrence_grace_seconds,
        warning_seconds=settings.low_balance_warning_seconds,
        price_stale_seconds=settings.price_stale_seconds,
    )


def level_limits(settings: Settings, chains: ChainRegistry) -> dict[int, LevelLimits]:
    """Return the limits of each KYC level in atoms, for every configured token that has any."""
    return {
        level: LevelLimits(
            gas_per_day=limits.gas_per_day,
            tokens={
                format_token_id(chain.chain_id, token.address): TokenLimit(
                    per_transaction=int(limit.per_transaction * 10**token.decimals),
                    per_day=int(limit.per_day * 10**token.decimals),
                    per_month=int((limit.per_month or 31 * limit.per_day) * 10**token.decimals),
                )
                for chain in chains.chains
                for token in chain.tokens
                if (limit := limits.tokens.get(token.symbol)) is not None
            },
        )
        for level, limits in settings.payment_limits.items()
    }
