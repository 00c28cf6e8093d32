"""One digest per nonce, one chain, and the bytes every other library would produce."""

from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chain.addresses import checksum_address
from snowrail_chain.signer import (
    ForeignChain,
    LocalSigner,
    NonceConflict,
    NotSelfTransfer,
    Signer,
    Transaction,
    effect_digest,
    read_transaction,
)

# Publicly known development key of anvil, for chains that hold nothing of value.
DEV_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
DEV_ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
RECIPIENT = checksum_address(b"\x09" * 20)
TRANSACTION = Transaction(
    chain_id=338,
    nonce=7,
    to=RECIPIENT,
    value=5,
    data=b"\x01\x02",
    gas_limit=50_000,
    max_fee_per_gas=100,
    max_priority_fee_per_gas=2,
)


@given(
    st.builds(
        Transaction,
        chain_id=st.just(338),
        nonce=st.integers(0, 2**63),
        to=st.one_of(st.none(), st.binary(min_size=20, max_size=20).map(checksum_address)),
        value=st.integers(0, 2**128),
        data=st.binary(max_size=200),
        gas_limit=st.integers(0, 2**40),
        max_fee_per_gas=st.integers(0, 2**60),
        max_priority_fee_per_gas=st.integers(0, 2**60),
    )
)
async def test_the_bytes_are_those_of_another_library(transaction: Transaction) -> None:
    signed = await LocalSigner(DEV_KEY, 338).sign_transaction(transaction)
    fields: dict[str, Any] = {
        "type": 2,
        "chainId": 338,
        "nonce": transaction.nonce,
        "value": transaction.value,
        "data": transaction.data,
        "gas": transaction.gas_limit,
        "maxFeePerGas": transaction.max_fee_per_gas,
        "maxPriorityFeePerGas": transaction.max_priority_fee_per_gas,
    }
    if transaction.to is not None:
        fields["to"] = transaction.to
    expected = Account.sign_transaction(fields, DEV_KEY)
    assert signed.raw == bytes(expected.raw_transaction)
    assert signed.hash == f"0x{bytes(expected.hash).hex()}"


async def test_a_replacement_may_change_only_the_fees() -> None:
    signer: Signer = LocalSigner(DEV_KEY, 338)
    assert signer.address == DEV_ADDRESS
    first = await signer.sign_transaction(TRANSACTION)
    assert await signer.sign_transaction(TRANSACTION) == first
    dearer = await signer.sign_transaction(replace(TRANSACTION, max_fee_per_gas=200, gas_limit=60_000))
    assert dearer.hash != first.hash
    for change in ({"to": DEV_ADDRESS}, {"value": 6}, {"data": b""}, {"to": None}):
        with pytest.raises(NonceConflict):
            await signer.sign_transaction(replace(TRANSACTION, **change))
    await signer.sign_transaction(replace(TRANSACTION, nonce=8, value=6))


async def test_only_an_operator_frees_a_nonce_and_only_by_a_self_transfer() -> None:
    signer = LocalSigner(DEV_KEY, 338)
    await signer.sign_transaction(TRANSACTION)
    empty = replace(TRANSACTION, to=DEV_ADDRESS, value=0, data=b"")
    with pytest.raises(NonceConflict):
        await signer.sign_transaction(empty)
    await signer.sign_transaction(empty, operator_self_transfer=True)
    for change in ({"to": RECIPIENT}, {"value": 1}, {"data": b"\0"}):
        with pytest.raises(NotSelfTransfer):
            await signer.sign_transaction(replace(empty, **change), operator_self_transfer=True)
    await signer.sign_transaction(TRANSACTION)


async def test_another_chain_is_refused() -> None:
    with pytest.raises(ForeignChain):
        await LocalSigner(DEV_KEY, 338).sign_transaction(replace(TRANSACTION, chain_id=25))


async def test_memory_is_bounded_and_keeps_the_latest_nonces() -> None:
    signer = LocalSigner(DEV_KEY, 338, max_remembered_nonces=2)
    for nonce in range(4):
        await signer.sign_transaction(replace(TRANSACTION, nonce=nonce))
    for nonce in (2, 3):
        with pytest.raises(NonceConflict):
            await signer.sign_transaction(replace(TRANSACTION, nonce=nonce, value=9))
    await signer.sign_transaction(replace(TRANSACTION, nonce=0, value=9))


async def test_a_signed_transaction_reads_back_as_what_was_signed() -> None:
    changes: list[dict[str, Any]] = [{}, {"to": None, "data": b"\x60"}, {"nonce": 0, "value": 0, "data": b""}]
    for change in changes:
        wanted = replace(TRANSACTION, **change)
        signed = await LocalSigner(DEV_KEY, 338).sign_transaction(wanted)
        read = read_transaction(signed.raw)
        assert read == wanted
        assert effect_digest(read) == effect_digest(wanted)
    assert effect_digest(TRANSACTION) != effect_digest(replace(TRANSACTION, data=b"\x01"))
    assert effect_digest(TRANSACTION) == effect_digest(replace(TRANSACTION, max_fee_per_gas=10**12))


@pytest.mark.parametrize("raw", [b"", b"\x01\xc0", b"\x02", b"\x02\xc0", b"\x02\x01\x02", b"\x02\xc3\x01"])
def test_other_bytes_are_no_transaction(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not an EIP-1559 transaction"):
        read_transaction(raw)
