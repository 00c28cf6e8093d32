"""Calls and logs of batches and mandates that do not fit are refused."""

from typing import Any

import pytest

from snowrail_chain.abi import (
    BATCH_TOPICS,
    MANDATE_TOPICS,
    BatchCancelled,
    MalformedLog,
    MandateRevoked,
    decode_batch_log,
    decode_batch_state,
    decode_mandate_log,
    decode_mandate_state,
    pay_rows_calldata,
)
from snowrail_chain.addresses import NATIVE_TOKEN, checksum_address
from snowrail_chain.manifest import InvalidManifest, Manifest, PayoutRow, PayoutTree, TokenTotal, totals_of

CONTRACT = checksum_address(b"\x0e" * 20)
PAYER = checksum_address(b"\x01" * 20)
WORD = f"0x{'11' * 32}"
PAYER_WORD = f"0x{'00' * 12}{'01' * 20}"


def a_log(*topics: str, data: str = "0x", address: str = CONTRACT) -> dict[str, Any]:
    """A log in JSON-RPC form."""
    return {"address": address, "topics": list(topics), "data": data}


@pytest.mark.parametrize("topic", BATCH_TOPICS)
def test_batch_logs_that_do_not_fit_are_refused(topic: str) -> None:
    for topics, data in (([topic], "0x"), ([topic, WORD, WORD, WORD, WORD], "0x"), ([topic, "0xzz"], "0x")):
        with pytest.raises(MalformedLog):
            decode_batch_log(a_log(*topics, data=data), CONTRACT)


@pytest.mark.parametrize("topic", MANDATE_TOPICS)
def test_mandate_logs_that_do_not_fit_are_refused(topic: str) -> None:
    for topics, data in (([topic], "0x"), ([topic, WORD, WORD, WORD], "0x11"), ([topic, "0xzz"], "0x")):
        with pytest.raises(MalformedLog):
            decode_mandate_log(a_log(*topics, data=data), CONTRACT)


def test_a_reason_longer_than_its_data_is_refused() -> None:
    failed = BATCH_TOPICS[2]
    for words in ((32, 33, 0), (64, 1, 0)):
        data = "0x" + "".join(word.to_bytes(32, "big").hex() for word in words)
        with pytest.raises(MalformedLog):
            decode_batch_log(a_log(failed, WORD, WORD, data=data), CONTRACT)


def test_logs_of_others_are_nothing() -> None:
    for log in (a_log(), a_log(WORD), a_log(BATCH_TOPICS[3], WORD, PAYER_WORD, address=PAYER)):
        assert decode_batch_log(log, CONTRACT) is None
        assert decode_mandate_log(log, CONTRACT) is None
    batch = bytes.fromhex(WORD[2:])
    cancelled = a_log(BATCH_TOPICS[3], WORD, PAYER_WORD)
    assert decode_batch_log(cancelled, CONTRACT) == BatchCancelled(batch, PAYER)
    revoked = a_log(MANDATE_TOPICS[1], WORD, PAYER_WORD)
    assert decode_mandate_log(revoked, CONTRACT) == MandateRevoked(batch, PAYER)


def test_states_have_their_length() -> None:
    with pytest.raises(ValueError, match="96 bytes"):
        decode_batch_state(bytes(64))
    with pytest.raises(ValueError, match="192 bytes"):
        decode_mandate_state(bytes(64))


def test_a_call_carries_at_least_one_row() -> None:
    row = PayoutRow(PAYER, NATIVE_TOKEN, 1)
    manifest = Manifest(
        PAYER, PayoutTree([row]).root, 1, 0, 1, 0, bytes(32), (TokenTotal(NATIVE_TOKEN, 1, 0),)
    )
    with pytest.raises(ValueError, match="256"):
        pay_rows_calldata(manifest, 0, [], [])
    with pytest.raises(InvalidManifest):
        PayoutTree([])


def test_totals_add_up_per_token_in_order() -> None:
    rows = [PayoutRow(PAYER, token, amount) for token, amount in ((PAYER, 5), (NATIVE_TOKEN, 2), (PAYER, 6))]
    assert totals_of(rows, {PAYER: 3}) == (TokenTotal(NATIVE_TOKEN, 2, 0), TokenTotal(PAYER, 11, 3))
