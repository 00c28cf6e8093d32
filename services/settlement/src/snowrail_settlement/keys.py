"""The keys that lanes sign with: in this process, or in KMS."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from botocore.credentials import Credentials
from botocore.session import get_session

from snowrail_chain.kms import KmsKey, KmsSettings
from snowrail_chain.signer import LocalKey, SigningKey
from snowrail_settlement import metrics
from snowrail_settlement.settings import Settings

log = structlog.get_logger("keys")


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys, and those among them that hold connections."""

    all: Sequence[SigningKey]
    remote: Sequence[KmsKey]

    async def close(self) -> None:
        """Close the connections."""
        for key in self.remote:
            await key.close()


def open_keys(settings: Settings) -> Keys:
    """Make the keys that the settings name. Nothing is connected yet.

    Raises:
        AssertionError: There are keys in KMS, and no credentials for it.
    """
    local = [LocalKey(key) for key in settings.keys]
    remote: list[KmsKey] = []
    if settings.kms_keys:
        credentials: Credentials | None = get_session().get_credentials()
        assert credentials is not None, "no AWS credentials for the keys of SNOWRAIL_EXECUTOR_KMS_KEYS"
        endpoint = settings.kms_endpoint or f"https://kms.{settings.kms_region}.amazonaws.com"
        for address, key_id in settings.kms_keys:
            place = KmsSettings(endpoint, settings.kms_region, key_id, settings.kms_timeout_seconds)
            remote.append(KmsKey(place, credentials, address, partial(_count_failed_call, address)))
    return Keys([*local, *remote], remote)


def _count_failed_call(address: str, kind: str) -> None:
    metrics.KEY_CALLS_FAILED.labels(address, kind).inc()
    log.warning("a call of KMS failed", signer=address, kind=kind)
