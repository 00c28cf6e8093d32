"""Settings of settlement."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from snowrail_chain.addresses import parse_address
from snowrail_chain.lane import FeePolicy
from snowrail_kit.settings import ServiceSettings
from snowrail_settlement.domain.lane import Timing

_KEY_BYTES = 32


class Settings(ServiceSettings):
    """Settings of settlement, each read from `SNOWRAIL_<NAME>`."""

    database_pool_size: int = Field(default=14, ge=6, le=100)
    """Each lane holds one connection for its lock and one while it works."""

    chains_file: Path
    """Chains, tokens and contract addresses."""
    executor_key: SecretStr = SecretStr("")
    """Private key of the executor, 32 bytes as hex; several are separated by commas, each with a lane of its
    own on every chain whose `executors` name it."""
    executor_kms_keys: str = ""
    """Keys in AWS KMS, `address=key id`, separated by commas; credentials come the way AWS's tools find
    them. Beside or instead of `executor_key`."""
    kms_region: str = "eu-central-1"
    kms_endpoint: str = ""
    """URL of KMS; that of the region unless set."""
    kms_timeout_seconds: float = Field(default=5, gt=0, le=60)
    rpc_timeout_seconds: float = Field(default=10, gt=0, le=60)

    collect_seconds: float = Field(default=0.03, ge=0, le=5)
    """How long a payment waits for others to share its transaction."""
    transaction_items: int = Field(default=150, ge=1, le=256)
    transaction_gas: int = Field(default=16_000_000, ge=1_000_000, le=1_000_000_000)
    """Largest gas limit of a transaction; below that of a block, and of EIP-7825 where it holds."""
    transaction_bytes: int = Field(default=120_000, ge=2_000, le=1_000_000)
    """Largest call data of a transaction; nodes refuse transactions above 128 KiB."""
    item_gas: int = Field(default=140_000, ge=50_000, le=500_000)
    """Gas planned for an item at its first attempt; at later ones, all that the escrow allows it."""
    in_flight_transactions: int = Field(default=8, ge=1, le=64)
    """Most transactions of a lane that are in no block yet. Some nodes hold no more than 16 per account."""

    simulate: bool = True
    """Try each payment by a call before it is signed, so that what would fail costs no gas."""
    simulate_gas: int = Field(default=1_000_000, ge=500_000, le=50_000_000)
    wait_limit_seconds: float = Field(default=120, gt=0, le=86_400)
    """How long an item waits, unsigned, for something that passes by itself, before its attempt fails."""
    wait_step_seconds: float = Field(default=2, gt=0, le=600)

    base_fee_percent: int = Field(default=200, ge=110, le=1_000)
    """What a transaction offers at most, as a share of the present base fee."""
    least_base_fee_percent: int = Field(default=125, ge=100, le=1_000)
    """Payments whose gas ceiling is below this share of the present base fee wait."""
    priority_fee_wei: int = Field(default=1_000_000_000, ge=0)
    highest_fee_wei: int = Field(default=100_000 * 10**9, gt=0)
    """Most that any transaction offers per gas, whatever its payers allow: gas is on us."""
    replacement_chains: tuple[int, ...] = ()
    """Chain ids whose nodes replace a pending transaction by one that offers more."""
    replacement_percent: int = Field(default=115, ge=110, le=1_000)
    replace_after_seconds: float = Field(default=60, gt=0, le=86_400)

    resend_after_seconds: float = Field(default=15, gt=0, le=3_600)
    """Bytes that are in no block are sent again after so long: nodes forget."""
    retry_seconds: float = Field(default=1, gt=0, le=60)
    """Pause before bytes are sent again that a node did not take."""
    reconcile_every_seconds: float = Field(default=10, gt=0, le=3_600)
    """How often the account's nonce and balance are compared with the lane's rows."""
    signer_pause_seconds: float = Field(default=30, gt=0, le=600)
    """Longest pause before a signer that gave no signature is asked again; the first is half a second."""
    foreign_after_seconds: float = Field(default=30, gt=0, le=3_600)
    """A nonce that is used while no node knows our hash freezes the lane after so long."""
    stuck_after_seconds: float = Field(default=60, gt=0, le=86_400)
    """A transaction in no block for so long is a trouble to tell operators of."""
    unknown_after_seconds: float = Field(default=120, gt=0, le=86_400)
    """An item without evidence for so long after it was signed is told as unknown."""
    low_balance_wei: int = Field(default=10**18, ge=0)
    """Less than this, or than as many full transactions as may be in flight cost, is a trouble to tell of."""

    @field_validator("executor_key")
    @classmethod
    def _keys_are_keys(cls, value: SecretStr) -> SecretStr:
        keys = _keys(value)
        if len(set(keys)) != len(keys) or any(len(key) != _KEY_BYTES for key in keys):
            raise ValueError("expected distinct private keys of 32 bytes as hex, separated by commas")
        return value

    @field_validator("executor_kms_keys")
    @classmethod
    def _kms_keys_have_addresses(cls, value: str) -> str:
        for address, key_id in _kms_keys(value):
            parse_address(address)
            if not key_id:
                raise ValueError("expected `address=key id`, separated by commas")
        return value

    @model_validator(mode="after")
    def _there_is_a_key(self) -> Self:
        if not self.keys and not self.kms_keys:
            raise ValueError("name a key in executor_key or executor_kms_keys")
        return self

    @property
    def kms_keys(self) -> list[tuple[str, str]]:
        """Address and id of each key in KMS."""
        return _kms_keys(self.executor_kms_keys)

    @property
    def keys(self) -> list[bytes]:
        """The private keys."""
        return _keys(self.executor_key)

    @property
    def timing(self) -> Timing:
        """How long lanes wait before they do something again."""
        return Timing(
            retry_seconds=self.retry_seconds,
            resend_after_seconds=self.resend_after_seconds,
            replace_after_seconds=self.replace_after_seconds,
            foreign_after_seconds=self.foreign_after_seconds,
        )

    @property
    def fee_policy(self) -> FeePolicy:
        """How lanes bid."""
        return FeePolicy(
            base_fee_percent=self.base_fee_percent,
            least_base_fee_percent=self.least_base_fee_percent,
            priority_fee=self.priority_fee_wei,
            replacement_percent=self.replacement_percent,
        )


def _keys(value: SecretStr) -> list[bytes]:
    secret = value.get_secret_value()
    texts = [text.strip().removeprefix("0x") for text in secret.split(",")] if secret.strip() else []
    try:
        return [bytes.fromhex(text) for text in texts]
    except ValueError:  # the message of the error would repeat the key
        raise ValueError("a private key is not hex") from None


def _kms_keys(value: str) -> list[tuple[str, str]]:
    pairs = [text.strip().partition("=") for text in value.split(",") if text.strip()]
    return [(address, key_id) for address, _, key_id in pairs]
