"""Orders hash as the standard says, and signatures have one form."""

from dataclasses import replace
from typing import Any

import pytest
from coincurve import PrivateKey
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chain.addresses import NATIVE_TOKEN, checksum_address
from snowrail_chain.eip712 import (
    InvalidOrder,
    InvalidSignature,
    Order,
    encode_order,
    order_hash,
    recover_signer,
    signing_digest,
    typed_data,
    validate_order,
)

ESCROW = checksum_address(b"\x0e" * 20)
SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ADDRESSES = st.binary(min_size=20, max_size=20).map(checksum_address)
ORDERS = st.builds(
    Order,
    payer=ADDRESSES,
    recipient=ADDRESSES,
    token=ADDRESSES,
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


def an_order(**terms: Any) -> Order:
    """A native order with any term replaced."""
    order = Order(
        payer=checksum_address(b"\x01" * 20),
        recipient=checksum_address(b"\x02" * 20),
        token=NATIVE_TOKEN,
        amount=10**18,
        valid_after=100,
        valid_until=200,
        max_gas_price=10**12,
        safety_buffer=0,
        min_interval=0,
        max_executions=1,
        max_fee=0,
        salt=b"\x03" * 32,
    )
    return replace(order, **terms)


def sign(digest: bytes, key: PrivateKey) -> bytes:
    """65 bytes r, s, v."""
    signature = key.sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes((signature[64] + 27,))


@given(ORDERS, st.integers(1, 2**63))
def test_the_digest_is_what_a_general_encoder_computes(order: Order, chain_id: int) -> None:
    message = encode_typed_data(full_message=typed_data(order, chain_id, ESCROW))
    assert message.body == order_hash(order)
    digest = keccak(b"\x19" + message.version + message.header + message.body)
    assert signing_digest(order, chain_id, ESCROW) == digest


@given(ORDERS)
def test_the_wire_form_is_lossless_and_all_text(order: Order) -> None:
    wire = order.to_wire()
    assert all(isinstance(value, str) for value in wire.values())
    assert Order.from_wire(wire) == order
    assert len(encode_order(order)) == 12 * 32


def test_recovery_of_the_published_example() -> None:
    # The mail example of https://eips.ethereum.org/EIPS/eip-712: digest and signature as published there.
    digest = bytes.fromhex("be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2")
    signature = bytes.fromhex(
        "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d"
        "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c"
    )
    assert recover_signer(digest, signature) == "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"


@given(st.binary(min_size=32, max_size=32), st.integers(1, SECP256K1_ORDER - 1))
def test_signatures_have_exactly_one_form(digest: bytes, secret: int) -> None:
    key = PrivateKey(secret.to_bytes(32, "big"))
    address = checksum_address(keccak(key.public_key.format(compressed=False)[1:])[12:])
    signature = sign(digest, key)
    assert recover_signer(digest, signature) == address
    upper = (SECP256K1_ORDER - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    others = [
        signature[:32] + upper + bytes((55 - signature[64],)),
        signature[:64] + bytes((signature[64] - 27,)),
        signature[:64] + bytes((signature[64] + 8,)),
        signature[:64],
        signature + b"\0",
    ]
    for other in others:
        with pytest.raises(InvalidSignature):
            recover_signer(digest, other)


@pytest.mark.parametrize(
    "signature",
    [
        bytes(64) + b"\x1b",
        b"\xff" * 32 + bytes(31) + b"\x01\x1b",
        bytes(31) + b"\x01" + bytes(32) + b"\x1b",
        bytes(31) + b"\x05" + bytes(31) + b"\x01" + b"\x1b",  # r is not the abscissa of a point
    ],
)
def test_numbers_that_are_no_signature_are_refused(signature: bytes) -> None:
    with pytest.raises(InvalidSignature):
        recover_signer(b"\x07" * 32, signature)


def test_a_digest_has_thirty_two_bytes() -> None:
    with pytest.raises(InvalidSignature):
        recover_signer(bytes(31), bytes(65))


@pytest.mark.parametrize(
    ("terms", "term"),
    [
        ({"amount": 2**128}, "amount"),
        ({"amount": -1}, "amount"),
        ({"valid_after": 2**64}, "validAfter"),
        ({"max_executions": 2**32}, "maxExecutions"),
        ({"max_fee": 2**128}, "maxFee"),
        ({"salt": bytes(31)}, "salt"),
        ({"payer": "0x"}, "payer"),
    ],
)
def test_terms_out_of_range_make_no_order(terms: dict[str, Any], term: str) -> None:
    with pytest.raises(InvalidOrder) as refusal:
        an_order(**terms)
    assert refusal.value.term == term


@pytest.mark.parametrize(
    ("terms", "term"),
    [
        ({"payer": NATIVE_TOKEN}, "payer"),
        ({"payer": ESCROW}, "payer"),
        ({"recipient": NATIVE_TOKEN}, "recipient"),
        ({"recipient": ESCROW}, "recipient"),
        ({"recipient": an_order().payer}, "recipient"),
        ({"token": ESCROW}, "token"),
        ({"amount": 0}, "amount"),
        ({"valid_until": 99}, "validUntil"),
        ({"max_executions": 0}, "maxExecutions"),
        ({"max_executions": 2}, "minInterval"),
    ],
)
def test_orders_the_escrow_would_refuse_are_refused_here(terms: dict[str, Any], term: str) -> None:
    with pytest.raises(InvalidOrder) as refusal:
        validate_order(an_order(**terms), ESCROW)
    assert refusal.value.term == term


def test_sensible_orders_pass() -> None:
    validate_order(an_order(), ESCROW)
    validate_order(an_order(valid_until=100, min_interval=1, max_executions=9), ESCROW)


@pytest.mark.parametrize(
    ("changes", "term"),
    [
        ({"amount": "1.5"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "0x10"}, "amount"),
        ({"amount": "9" * 79}, "amount"),
        ({"salt": "0x12"}, "salt"),
        ({"salt": "0x" + "z" * 64}, "salt"),
        ({"payer": "0x" + "aB" * 20}, "payer"),
        ({"surprise": "1"}, "surprise"),
    ],
)
def test_wrong_wire_terms_are_named(changes: dict[str, str], term: str) -> None:
    with pytest.raises(InvalidOrder) as refusal:
        Order.from_wire({**an_order().to_wire(), **changes})
    assert refusal.value.term == term


def test_a_missing_wire_term_is_named() -> None:
    wire = an_order().to_wire()
    del wire["maxFee"]
    with pytest.raises(InvalidOrder, match="maxFee"):
        Order.from_wire(wire)
