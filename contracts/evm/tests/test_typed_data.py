"""Typed data hashes alike in Python, in Solidity and in a wallet's library, and as published for EIP-712."""

import json
from dataclasses import replace
from typing import Any

from eth_abi.abi import encode
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from snowrail_chain.addresses import NATIVE_TOKEN, checksum_address
from snowrail_chain.eip712 import Order, encode_order, order_hash, signing_digest, typed_data
from snowrail_chain.mandate import Mandate, mandate_digest, mandate_hash, mandate_typed_data
from snowrail_chain.manifest import (
    MAX_ROWS,
    Manifest,
    TokenTotal,
    manifest_digest,
    manifest_hash,
    manifest_typed_data,
)

from .batches import Payouts
from .chains import CHAIN_ID
from .mandates import Mandates
from .test_artifacts import run_node
from .world import World

# The example of https://eips.ethereum.org/EIPS/eip-712, with the digest its test program publishes.
MAIL: dict[str, Any] = {
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"},
        ],
        "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
        "Mail": [
            {"name": "from", "type": "Person"},
            {"name": "to", "type": "Person"},
            {"name": "contents", "type": "string"},
        ],
    },
    "primaryType": "Mail",
    "domain": {
        "name": "Ether Mail",
        "version": "1",
        "chainId": 1,
        "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
    },
    "message": {
        "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
        "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
        "contents": "Hello, Bob!",
    },
}
MAIL_DOMAIN = "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"
MAIL_STRUCT = "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
MAIL_DIGEST = "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"

ORDER_KINDS = "(address,address,address,uint256,uint64,uint64,uint256,uint256,uint64,uint32,uint256,bytes32)"
HASH_ORDER = keccak(f"hashOrder({ORDER_KINDS})".encode())[:4]
SIGNING_DIGEST = keccak(f"signingDigest({ORDER_KINDS})".encode())[:4]
ADDRESSES = st.binary(min_size=20, max_size=20).map(checksum_address)
ORDERS = st.builds(
    Order,
    payer=ADDRESSES,
    recipient=ADDRESSES,
    token=st.one_of(st.just(NATIVE_TOKEN), ADDRESSES),
    amount=st.integers(0, 2**128 - 1),
    valid_after=st.integers(0, 2**64 - 1),
    valid_until=st.integers(0, 2**64 - 1),
    max_gas_price=st.integers(0, 2**256 - 1),
    safety_buffer=st.integers(0, 2**256 - 1),
    min_interval=st.integers(0, 2**64 - 1),
    max_executions=st.integers(0, 2**32 - 1),
    max_fee=st.integers(0, 2**128 - 1),
    salt=st.binary(min_size=32, max_size=32),
)
WORDS = st.binary(min_size=32, max_size=32)
POSITIVE = st.integers(1, 2**128 - 1)
TOTALS = st.lists(
    st.builds(TokenTotal, token=ADDRESSES, amount=POSITIVE, max_fee=st.integers(0, 2**128 - 1)),
    min_size=1,
    max_size=4,
    unique_by=lambda total: total.token,
).map(lambda totals: tuple(sorted(totals, key=lambda total: int(total.token, 16))))
MANIFESTS = st.builds(
    Manifest,
    payer=ADDRESSES.filter(lambda address: address != NATIVE_TOKEN),
    root=WORDS,
    rows=st.integers(1, MAX_ROWS),
    valid_after=st.integers(0, 1_000),
    valid_until=st.integers(1_000, 2**64 - 1),
    max_gas_price=st.integers(0, 2**256 - 1),
    salt=WORDS,
    totals=TOTALS,
)


@st.composite
def drawn_mandates(draw: st.DrawFn) -> Mandate:
    """Mandates of any terms."""
    limits = sorted(draw(st.lists(POSITIVE, min_size=3, max_size=3)))
    any_recipient = draw(st.booleans())
    unlisted = sorted((draw(st.integers(1, limits[0])), draw(st.integers(1, limits[0]))))
    return Mandate(
        payer=checksum_address(draw(st.binary(min_size=20, max_size=20).filter(any))),
        delegate=draw(ADDRESSES),
        token=draw(ADDRESSES),
        per_payment=limits[0],
        per_period=limits[1],
        total=limits[2],
        period=draw(st.integers(1, 2**64 - 1)),
        valid_after=draw(st.integers(0, 1_000)),
        valid_until=draw(st.integers(1_000, 2**64 - 1)),
        max_gas_price=draw(st.integers(0, 2**256 - 1)),
        max_fee=draw(st.integers(0, 2**128 - 1)),
        recipients=draw(WORDS.filter(any)),
        any_recipient=any_recipient,
        unlisted_per_payment=unlisted[0] if any_recipient else 0,
        unlisted_per_period=unlisted[1] if any_recipient else 0,
        salt=draw(WORDS),
    )


def test_the_published_example_hashes_as_published() -> None:
    message = encode_typed_data(full_message=MAIL)
    assert (message.header.hex(), message.body.hex()) == (MAIL_DOMAIN, MAIL_STRUCT)
    assert keccak(b"\x19\x01" + message.header + message.body).hex() == MAIL_DIGEST
    assert json.loads(run_node("tests/hash_typed_data.mjs", text=json.dumps([MAIL]))) == [f"0x{MAIL_DIGEST}"]


def test_python_solidity_and_javascript_hash_alike(world: World) -> None:
    """Every draw is hashed here, by the contract and by a general encoder; wallets get them all."""
    payouts, mandates = Payouts(world), Mandates(world)
    documents: list[dict[str, Any]] = []
    digests: list[str] = []

    @settings(max_examples=25)
    @given(order=ORDERS, manifest=MANIFESTS, mandate=drawn_mandates())
    def compare(order: Any, manifest: Manifest, mandate: Mandate) -> None:
        totals = [(total.token, total.amount, total.max_fee) for total in manifest.totals]
        kinds = "(address,bytes32,uint32,uint64,uint64,uint256,bytes32,(address,uint128,uint128)[])"
        values = [getattr(manifest, name) for name in manifest.__slots__ if name != "totals"]
        encoded = encode([kinds], [(*values, totals)])
        mandate_kinds = (
            "(address,address,address,uint128,uint128,uint128,uint64,uint64,uint64,uint256,uint128,bytes32,"
            "bool,uint128,uint128,bytes32)"
        )
        signed = [
            (world.escrow, HASH_ORDER, SIGNING_DIGEST, encode_order(order), order_hash(order)),
            (
                payouts.address,
                keccak(f"hashManifest({kinds})".encode())[:4],
                keccak(f"signingDigest({kinds})".encode())[:4],
                encoded,
                manifest_hash(manifest),
            ),
            (
                mandates.address,
                keccak(f"hashMandate({mandate_kinds})".encode())[:4],
                keccak(f"signingDigest({mandate_kinds})".encode())[:4],
                mandate.encode(),
                mandate_hash(mandate),
            ),
        ]
        own = [
            signing_digest(order, CHAIN_ID, world.escrow),
            manifest_digest(manifest, CHAIN_ID, payouts.address),
            mandate_digest(mandate, CHAIN_ID, mandates.address),
        ]
        described = [
            typed_data(order, CHAIN_ID, world.escrow),
            manifest_typed_data(manifest, CHAIN_ID, payouts.address),
            mandate_typed_data(mandate, CHAIN_ID, mandates.address),
        ]
        for (contract, hash_of, digest_of, data, struct_hash), digest, document in zip(
            signed, own, described, strict=True
        ):
            assert world.chain.read(contract, hash_of + data) == struct_hash
            assert world.chain.read(contract, digest_of + data) == digest
            message = encode_typed_data(full_message=document)
            assert message.body == struct_hash
            documents.append(document)
            digests.append(f"0x{digest.hex()}")

    compare()
    assert json.loads(run_node("tests/hash_typed_data.mjs", text=json.dumps(documents))) == digests


@settings(max_examples=25)
@given(manifest=MANIFESTS, amount=POSITIVE)
def test_every_term_changes_the_digest(manifest: Manifest, amount: int) -> None:
    total = manifest.totals[0]
    changed = (replace(total, amount=amount + 1 if amount == total.amount else amount), *manifest.totals[1:])
    if changed[0].amount < 2**128:
        assert manifest_hash(replace(manifest, totals=changed)) != manifest_hash(manifest)
