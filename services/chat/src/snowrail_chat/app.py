"""Composition root of chat."""

from snowrail_chain.config import ChainConfig, ChainRegistry
from snowrail_chat.api import router
from snowrail_chat.clients import HttpBalances, HttpTransactions, PatientClient
from snowrail_chat.consumers import consumers
from snowrail_chat.domain.kinds import Vocabulary
from snowrail_chat.parts import Parts
from snowrail_chat.settings import Settings
from snowrail_chat.usecases.upkeep import prune_limits, prune_requests, tell_waiting
from snowrail_kit.service import Runtime, Service
from snowrail_kit.tasks import Task

_TELL_EVERY_SECONDS = 1.0
_PRUNE_EVERY_SECONDS = 600.0


def compose(runtime: Runtime[Settings]) -> Parts:
    """Wire the parts. Raises ChainConfigError or LookupError when chain or token are not configured."""
    settings = runtime.settings
    chains = ChainRegistry.load(settings.chains_file)
    chain = chains.chains[0] if settings.chain_id is None else chains.chain(settings.chain_id)
    return Parts(
        settings=settings,
        clock=runtime.clock,
        database=runtime.database,
        transaction=runtime.transaction,
        chains=chains,
        chain=chain,
        vocabulary=_vocabulary(chain, settings.default_currency),
        balances=HttpBalances(_client(runtime, settings.chain_monitor_url), chain),
        transactions=HttpTransactions(_client(runtime, settings.intent_url)),
    )


def _client(runtime: Runtime[Settings], url: str) -> PatientClient:
    settings = runtime.settings
    return PatientClient(runtime.http, url, settings.read_timeout_seconds, settings.read_pause_seconds)


def _vocabulary(chain: ChainConfig, default_currency: str) -> Vocabulary:
    first = chain.token(default_currency).symbol
    return Vocabulary((first, *(token.symbol for token in chain.tokens if token.symbol != first)))


service: Service[Settings, Parts] = Service(
    name="chat",
    settings=Settings,
    compose=compose,
    consumers=consumers,
    routers=(router,),
    tasks=(
        Task("tell waiting", tell_waiting, _TELL_EVERY_SECONDS),
        Task("prune limits", prune_limits, _PRUNE_EVERY_SECONDS, exclusive=True),
        Task("prune requests", prune_requests, _PRUNE_EVERY_SECONDS, exclusive=True),
    ),
    title="Snowrail chat",
    description="Commands, cards and the history of a conversation.",
)
