"""Addresses are accepted in one form only, and imitations are seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chain.addresses import (
    AddressError,
    MissingChecksum,
    NotAnAddress,
    WrongChecksum,
    checksum_address,
    find_look_alike,
    is_look_alike,
    parse_address,
)

# From https://eips.ethereum.org/EIPS/eip-55.
PUBLISHED = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


@pytest.mark.parametrize("address", PUBLISHED)
def test_published_addresses_are_accepted(address: str) -> None:
    assert parse_address(address) == address


@pytest.mark.parametrize("address", PUBLISHED[4:])
def test_one_case_is_refused_and_the_checksummed_form_offered(address: str) -> None:
    for text in (address.lower(), "0x" + address[2:].upper()):
        with pytest.raises(MissingChecksum) as refusal:
            parse_address(text)
        assert refusal.value.checksummed == address
        assert refusal.value.code == "address_checksum_missing"


def test_a_wrong_checksum_is_refused_and_nothing_offered() -> None:
    wrong = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed"
    with pytest.raises(WrongChecksum) as refusal:
        parse_address(wrong)
    assert refusal.value.checksummed is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        PUBLISHED[0][2:],
        PUBLISHED[0] + "0",
        "0X" + PUBLISHED[0][2:],
        " " + PUBLISHED[0],
        PUBLISHED[0] + "\n",
        "0x" + "g" * 40,
        "0x" + "٠" * 40,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(NotAnAddress):
        parse_address(text)


@given(st.binary(min_size=20, max_size=20), st.integers(2, 41))
def test_a_changed_letter_case_is_never_accepted(raw: bytes, position: int) -> None:
    address = checksum_address(raw)
    changed = address[:position] + address[position].swapcase() + address[position + 1 :]
    if changed != address:
        with pytest.raises(AddressError):
            parse_address(changed)
    assert parse_address(address) == address


def test_addresses_have_twenty_bytes() -> None:
    with pytest.raises(NotAnAddress):
        checksum_address(bytes(19))


def test_look_alikes_share_head_and_tail_and_nothing_else() -> None:
    payee = "0x52908400098527886E0F7030069857D2E4169EE7"
    poisoned = checksum_address(bytes.fromhex("5290" + "ab" * 16 + "9ee7"))
    assert is_look_alike(poisoned, payee)
    assert not is_look_alike(payee, payee)
    assert not is_look_alike(checksum_address(bytes.fromhex("5291" + "ab" * 16 + "9ee7")), payee)
    assert not is_look_alike(checksum_address(bytes.fromhex("5290" + "ab" * 16 + "9ee8")), payee)
    assert find_look_alike(poisoned, [PUBLISHED[1], payee]) == payee
    assert find_look_alike(payee, [PUBLISHED[1], payee]) is None
