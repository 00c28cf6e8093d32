"""Composition root of accounts."""

import secrets

from snowrail_accounts.api import router
from snowrail_accounts.consumers import consumers
from snowrail_accounts.domain.sign_in import Origin
from snowrail_accounts.keys import SigningKey, published_keys
from snowrail_accounts.parts import Parts
from snowrail_accounts.settings import Settings
from snowrail_accounts.usecases.sessions import prune
from snowrail_kit.service import Runtime, Service
from snowrail_kit.tasks import Task


def compose(runtime: Runtime[Settings]) -> Parts:
    """Wire the use cases. Raises what `SigningKey.from_file` and `published_keys` raise."""
    signing_key = SigningKey.from_file(runtime.settings.signing_key_file)
    return Parts(
        settings=runtime.settings,
        clock=runtime.clock,
        ids=runtime.ids,
        random_bytes=secrets.token_bytes,
        database=runtime.database,
        transaction=runtime.transaction,
        signing_key=signing_key,
        public_keys=published_keys(signing_key, runtime.settings.jwt_public_keys_file),
        origin=Origin.of(runtime.settings.public_origin),
    )


service = Service(
    name="accounts",
    settings=Settings,
    compose=compose,
    consumers=consumers,
    routers=(router,),
    tasks=(Task("prune", run=prune, every_seconds=60.0, exclusive=True),),
    title="Snowrail accounts",
    description="Wallets sign in; users, roles, devices, sessions and limits.",
)
