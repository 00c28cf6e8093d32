"""A key in KMS signs as a local one does, whatever KMS answers; over HTTP against the emulated service."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import pytest_asyncio
from aiohttp import web
from botocore.credentials import Credentials
from coincurve import PrivateKey

from snowrail_chain.kms import KmsKey, KmsRefused, KmsSettings, WrongKey, recoverable
from snowrail_chain.signer import (
    GuardedSigner,
    LocalKey,
    MemoryLedger,
    NonceConflict,
    SigningFailed,
    Transaction,
    read_transaction,
    recover_sender,
)
from snowrail_testkit.emulators.kms import ORDER, KmsEmulator, Spoilt, build_app

# Publicly known development key of anvil, for chains that hold nothing of value.
DEV_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ADDRESS = LocalKey(DEV_KEY).address
NO_ANSWER = (Spoilt.LATE, Spoilt.CUT, Spoilt.NOT_JSON)
TRANSACTION = Transaction(338, 7, ADDRESS, 5, b"\x01", 50_000, 100, 2)


class Service:
    """The emulated service and a way to make keys that use it."""

    def __init__(self, emulator: KmsEmulator, url: str) -> None:
        self.emulator = emulator
        self.url = url
        self.made: list[KmsKey] = []

    def key(
        self,
        address: str = ADDRESS,
        secret: str = "",
        key_id: str = "alias/executor",
        on_failed_call: Callable[[str], None] | None = None,
        timeout_seconds: float = 10,
    ) -> KmsKey:
        """A key of the service."""
        settings = KmsSettings(self.url, "eu-central-1", key_id, timeout_seconds)
        known = self.emulator
        credentials = Credentials(known.access_key_id, secret or known.secret_access_key)
        self.made.append(KmsKey(settings, credentials, address, on_failed_call))
        return self.made[-1]


@pytest_asyncio.fixture(loop_scope="session")
async def kms() -> AsyncIterator[Service]:
    """KMS with a key."""
    emulator = KmsEmulator(DEV_KEY)
    runner = web.AppRunner(build_app(emulator))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service = Service(emulator, f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield service
    for key in service.made:
        await key.close()
    await runner.cleanup()


@pytest.mark.parametrize("has_high_s", [False, True])
async def test_its_signatures_are_low_and_lead_back_to_the_key(kms: Service, has_high_s: bool) -> None:
    kms.emulator.has_high_s = has_high_s
    signer = GuardedSigner(kms.key(), 338, MemoryLedger())
    parities: set[int] = set()
    for nonce in range(20):
        signed = await signer.sign_transaction(replace(TRANSACTION, nonce=nonce))
        assert recover_sender(signed.raw) == ADDRESS == signer.address
        assert read_transaction(signed.raw) == replace(TRANSACTION, nonce=nonce)
    for number in range(20):
        signature = await kms.made[0].sign_digest(bytes((number,)) * 32)
        assert int.from_bytes(signature[32:64], "big") <= ORDER // 2
        parities.add(signature[64])
    assert parities == {0, 1}
    assert kms.emulator.calls["GetPublicKey"] == 1


async def test_a_throttled_request_is_made_again_and_a_refused_one_is_not(kms: Service) -> None:
    key = kms.key()
    kms.emulator.failures = ["ThrottlingException", "KMSInternalException", "ThrottlingException"]
    assert len(await key.sign_digest(b"\x01" * 32)) == 65
    kms.emulator.failures = ["ThrottlingException"] * 4
    with pytest.raises(KmsRefused, match="ThrottlingException"):
        await key.sign_digest(b"\x01" * 32)
    kms.emulator.failures = ["AccessDeniedException"]
    before = kms.emulator.calls["Sign"]
    with pytest.raises(KmsRefused, match="AccessDenied"):
        await key.sign_digest(b"\x01" * 32)
    assert kms.emulator.calls["Sign"] == before + 1


@pytest.mark.parametrize("spoilt", [spoilt for spoilt in Spoilt if spoilt not in NO_ANSWER])
async def test_what_is_no_signature_by_the_key_is_a_failure_to_sign(kms: Service, spoilt: Spoilt) -> None:
    key = kms.key()
    kms.emulator.spoilt = [spoilt]
    with pytest.raises(SigningFailed):
        await key.sign_digest(b"\x01" * 32)
    assert len(await key.sign_digest(b"\x01" * 32)) == 65


@pytest.mark.parametrize("spoilt", NO_ANSWER)
async def test_an_answer_that_never_comes_is_asked_for_again_and_counted(
    kms: Service, spoilt: Spoilt
) -> None:
    kinds: list[str] = []
    # an answer that is only slow is no failed call
    key = kms.key(on_failed_call=kinds.append, timeout_seconds=1 if spoilt is Spoilt.LATE else 10)
    kms.emulator.late_seconds = 1.2
    kms.emulator.spoilt = [spoilt]
    assert len(await key.sign_digest(b"\x01" * 32)) == 65
    assert len(kinds) == 1


async def test_a_key_that_is_not_the_one_configured_is_never_asked_to_sign(kms: Service) -> None:
    other = LocalKey(b"\x07" * 32).address
    with pytest.raises(WrongKey, match="not 0x"):
        await kms.key(address=other).sign_digest(b"\x01" * 32)
    assert kms.emulator.calls["Sign"] == 0
    with pytest.raises(KmsRefused, match="NotFound"):
        await kms.key(key_id="alias/other").sign_digest(b"\x01" * 32)
    with pytest.raises(KmsRefused, match="InvalidSignature"):
        await kms.key(secret="wrong").sign_digest(b"\x01" * 32)


async def test_a_service_out_of_reach_is_a_failure_to_sign() -> None:
    settings = KmsSettings("http://127.0.0.1:1", "eu-central-1", "alias/executor", attempts=2)
    key = KmsKey(settings, Credentials("id", "secret"), ADDRESS)
    with pytest.raises(KmsRefused, match="GetPublicKey"):
        await key.sign_digest(b"\x01" * 32)
    await key.close()
    await key.close()


async def test_a_second_effect_for_a_nonce_is_refused_before_the_key_is_asked(kms: Service) -> None:
    ledger = MemoryLedger()
    await GuardedSigner(kms.key(), 338, ledger).sign_transaction(TRANSACTION)
    before = kms.emulator.calls["Sign"]
    restarted = GuardedSigner(kms.key(), 338, ledger)
    with pytest.raises(NonceConflict):
        await restarted.sign_transaction(replace(TRANSACTION, value=6))
    assert kms.emulator.calls["Sign"] == before
    await restarted.sign_transaction(replace(TRANSACTION, max_fee_per_gas=200))


async def test_what_was_to_be_signed_is_recorded_even_when_the_key_fails(kms: Service) -> None:
    signer = GuardedSigner(kms.key(), 338, MemoryLedger())
    kms.emulator.failures = ["AccessDeniedException"]
    with pytest.raises(KmsRefused):
        await signer.sign_transaction(TRANSACTION)
    with pytest.raises(NonceConflict):
        await signer.sign_transaction(replace(TRANSACTION, data=b""))
    await signer.sign_transaction(TRANSACTION)


def test_a_signature_by_another_key_is_refused() -> None:
    signature = PrivateKey(b"\x07" * 32).sign_recoverable(b"\x01" * 32, hasher=None)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    with pytest.raises(WrongKey, match="not by the key"):
        recoverable(r, s, b"\x01" * 32, PrivateKey(DEV_KEY).public_key)
    with pytest.raises(WrongKey):
        recoverable(1, 1, b"\x01" * 32, PrivateKey(DEV_KEY).public_key)
