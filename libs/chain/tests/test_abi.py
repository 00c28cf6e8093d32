"""Call data as a general encoder makes it, logs as the contract writes them, reverts in words."""

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chain.abi import (
    ESCROW_TOPICS,
    TRANSFER_TOPIC,
    Cancelled,
    Executed,
    Execution,
    ExecutionFailed,
    Funded,
    LogPosition,
    MalformedLog,
    OrderState,
    Returned,
    TokenTransfer,
    allowance_calldata,
    approve_calldata,
    balance_of_calldata,
    cancel_calldata,
    decode_escrow_log,
    decode_order_state,
    decode_transfer_log,
    decode_uint256,
    deposit_calldata,
    execute_calldata,
    execute_many_calldata,
    explain_revert,
    fund_calldata,
    fund_with_permit_calldata,
    log_position,
    order_state_calldata,
    return_expired_calldata,
    transfer_calldata,
)
from snowrail_chain.addresses import checksum_address
from snowrail_chain.eip712 import Order
from snowrail_evm import load

ORDER_KINDS = "(address,address,address,uint256,uint64,uint64,uint256,uint256,uint64,uint32,uint256,bytes32)"
ALICE, BOB, TOKEN, ESCROW = (checksum_address(bytes((byte,)) * 20) for byte in (0xA1, 0xB0, 0x70, 0xE5))
ORDER = Order(ALICE, BOB, TOKEN, 5, 1, 2, 3, 4, 6, 7, 8, b"\x09" * 32)
WORDS = (ALICE, BOB, TOKEN, 5, 1, 2, 3, 4, 6, 7, 8, b"\x09" * 32)
HASH = b"\x11" * 32


def expected(name: str, kinds: str, *arguments: Any) -> bytes:
    """Call data by the general encoder."""
    types = [entry for entry in _split(kinds) if entry]
    return keccak(f"{name}({kinds})".encode())[:4] + encode(types, arguments)


def _split(kinds: str) -> list[str]:
    parts, depth = [""], 0
    for character in kinds:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def test_calls_are_those_of_a_general_encoder() -> None:
    signature = bytes(range(65))
    permit = (9, 10, signature[64], signature[:32], signature[32:64])
    execution = Execution(ORDER, 3, signature)
    pairs = [
        (fund_calldata(ORDER), expected("fund", ORDER_KINDS, WORDS)),
        (deposit_calldata(ORDER, 9), expected("deposit", f"{ORDER_KINDS},uint256", WORDS, 9)),
        (
            fund_with_permit_calldata(ORDER, 9, 10, signature, b"sig"),
            expected(
                "fundWithPermit",
                f"{ORDER_KINDS},(uint256,uint256,uint8,bytes32,bytes32),bytes",
                WORDS,
                permit,
                b"sig",
            ),
        ),
        (
            execute_calldata(execution),
            expected("execute", f"{ORDER_KINDS},uint32,bytes", WORDS, 3, signature),
        ),
        (cancel_calldata(ORDER), expected("cancel", ORDER_KINDS, WORDS)),
        (return_expired_calldata(ORDER), expected("returnExpired", ORDER_KINDS, WORDS)),
        (order_state_calldata(HASH), expected("orderState", "bytes32", HASH)),
        (approve_calldata(BOB, 9), expected("approve", "address,uint256", BOB, 9)),
        (transfer_calldata(BOB, 9), expected("transfer", "address,uint256", BOB, 9)),
        (balance_of_calldata(BOB), expected("balanceOf", "address", BOB)),
        (allowance_calldata(ALICE, BOB), expected("allowance", "address,address", ALICE, BOB)),
    ]
    for ours, theirs in pairs:
        assert ours == theirs


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=200)), min_size=1, max_size=8))
def test_many_executions_are_encoded_as_a_general_encoder_does(items: list[tuple[int, bytes]]) -> None:
    ours = execute_many_calldata([Execution(ORDER, occurrence, signature) for occurrence, signature in items])
    values = [(WORDS, occurrence, signature) for occurrence, signature in items]
    assert ours == expected("executeMany", f"({ORDER_KINDS},uint32,bytes)[]", values)


def test_selectors_are_those_of_the_contract() -> None:
    def canonical(entry: dict[str, Any]) -> str:
        if not entry["type"].startswith("tuple"):
            return entry["type"]
        return f"({','.join(map(canonical, entry['components']))}){entry['type'][5:]}"

    abi = load("IntentEscrow").abi
    signatures = {
        (entry["type"], f"{entry['name']}({','.join(map(canonical, entry['inputs']))})")
        for entry in abi
        if entry["type"] in ("function", "event")
    }
    selectors = {keccak(text.encode())[:4] for kind, text in signatures if kind == "function"}
    ours = [
        fund_calldata(ORDER),
        deposit_calldata(ORDER, 1),
        cancel_calldata(ORDER),
        order_state_calldata(HASH),
    ]
    ours += [return_expired_calldata(ORDER), fund_with_permit_calldata(ORDER, 1, 1, bytes(65), b"")]
    ours += [execute_calldata(Execution(ORDER, 0, b"")), execute_many_calldata([Execution(ORDER, 0, b"")])]
    assert {data[:4] for data in ours} <= selectors
    topics = {f"0x{keccak(text.encode()).hex()}" for kind, text in signatures if kind == "event"}
    assert set(ESCROW_TOPICS) <= topics


def test_one_call_carries_a_bounded_number_of_items() -> None:
    with pytest.raises(ValueError, match="1 to 256"):
        execute_many_calldata([])
    with pytest.raises(ValueError, match="257"):
        execute_many_calldata([Execution(ORDER, 0, b"")] * 257)


def test_answers_are_read_and_checked() -> None:
    answer = encode(["uint32", "bool", "bool", "uint208"], [3, True, False, 99])
    assert decode_order_state(answer) == OrderState(3, True, False, 99)
    assert decode_uint256(encode(["uint256"], [7])) == 7
    with pytest.raises(ValueError, match="128"):
        decode_order_state(answer[:-1])
    with pytest.raises(ValueError, match="32"):
        decode_uint256(b"")


def log(topic: str, indexed: list[bytes], data: bytes, address: str = ESCROW) -> dict[str, Any]:
    """A log in JSON-RPC form."""
    return {
        "address": address.lower(),
        "topics": [topic, *(f"0x{word.rjust(32, bytes(1)).hex()}" for word in indexed)],
        "data": f"0x{data.hex()}",
        "blockNumber": "0x10",
        "blockHash": f"0x{'ab' * 32}",
        "transactionHash": f"0x{'cd' * 32}",
        "logIndex": "0x2",
        "removed": False,
    }


def raw(address: str) -> bytes:
    """The 20 bytes of an address."""
    return bytes.fromhex(address[2:])


FUNDED, EXECUTED, EXECUTION_FAILED, CANCELLED, RETURNED = ESCROW_TOPICS
KNOWN_LOGS = [
    (
        log(FUNDED, [HASH, raw(ALICE)], encode(["address", "uint256", "uint256"], [TOKEN, 5, 9])),
        Funded(HASH, ALICE, TOKEN, 5, 9),
    ),
    (
        log(
            EXECUTED,
            [HASH, b"\x02", raw(BOB)],
            encode(["address", "address", "uint256", "uint256"], [ALICE, TOKEN, 5, 1]),
        ),
        Executed(HASH, 2, BOB, ALICE, TOKEN, 5, 1),
    ),
    (
        log(EXECUTION_FAILED, [HASH, b"\x03"], encode(["bytes"], [b"why" * 20])),
        ExecutionFailed(HASH, 3, b"why" * 20),
    ),
    (log(CANCELLED, [HASH, raw(ALICE)], encode(["uint256"], [4])), Cancelled(HASH, ALICE, 4)),
    (log(RETURNED, [HASH, raw(ALICE)], encode(["uint256"], [6])), Returned(HASH, ALICE, 6)),
]


@pytest.mark.parametrize(("entry", "event"), KNOWN_LOGS)
def test_logs_of_the_escrow_are_decoded(entry: dict[str, Any], event: object) -> None:
    assert decode_escrow_log(entry, ESCROW) == event
    assert decode_escrow_log(entry, BOB) is None


@pytest.mark.parametrize(("entry", "event"), KNOWN_LOGS)
def test_logs_that_do_not_fit_are_refused(entry: dict[str, Any], event: object) -> None:
    with pytest.raises(MalformedLog):
        decode_escrow_log({**entry, "topics": entry["topics"][:-1]}, ESCROW)
    with pytest.raises(MalformedLog):
        decode_escrow_log({**entry, "data": entry["data"][:64]}, ESCROW)
    with pytest.raises(MalformedLog):
        decode_escrow_log({**entry, "data": "0xzz"}, ESCROW)


def test_a_failure_reason_out_of_bounds_is_refused() -> None:
    data = encode(["uint256", "uint256"], [32, 1_000])
    with pytest.raises(MalformedLog, match="reason"):
        decode_escrow_log(log(EXECUTION_FAILED, [HASH, b"\x03"], data), ESCROW)


def test_other_logs_are_left_alone() -> None:
    assert decode_escrow_log(log(TRANSFER_TOPIC, [], b""), ESCROW) is None
    assert decode_escrow_log({**log(FUNDED, [], b""), "topics": []}, ESCROW) is None


def test_token_transfers_are_decoded() -> None:
    data = encode(["uint256"], [12])
    assert decode_transfer_log(log(TRANSFER_TOPIC, [raw(ALICE), raw(BOB)], data)) == TokenTransfer(
        ALICE, BOB, 12
    )
    assert decode_transfer_log(log(FUNDED, [raw(ALICE), raw(BOB)], data)) is None
    assert decode_transfer_log(log(TRANSFER_TOPIC, [raw(ALICE), raw(BOB), HASH], b"")) is None
    with pytest.raises(MalformedLog):
        decode_transfer_log(log(TRANSFER_TOPIC, [raw(ALICE), raw(BOB)], b""))


def test_positions_are_read() -> None:
    entry = log(FUNDED, [], b"")
    position = LogPosition(ESCROW, 16, f"0x{'ab' * 32}", f"0x{'cd' * 32}", 2, False)
    assert log_position(entry) == position
    with pytest.raises(MalformedLog):
        log_position({**entry, "blockNumber": None})


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "Empty()"),
        (keccak(b"OrderCancelled()")[:4], "OrderCancelled()"),
        (
            keccak(b"OccurrenceMismatch(uint32,uint32)")[:4] + encode(["uint32", "uint32"], [2, 1]),
            "OccurrenceMismatch(next=2, given=1)",
        ),
        (
            keccak(b"InvalidOrder(bytes32)")[:4] + b"recipient".ljust(32, b"\0"),
            "InvalidOrder(term=recipient)",
        ),
        (keccak(b"NotPayer(address)")[:4] + encode(["address"], [ALICE]), f"NotPayer(caller={ALICE})"),
        (keccak(b"Error(string)")[:4] + encode(["string"], ["no"]), "Error(message=no)"),
        (keccak(b"Panic(uint256)")[:4] + encode(["uint256"], [17]), "Panic(code=17)"),
        (keccak(b"Error(string)")[:4] + b"\0" * 40, "Error()"),
        (b"\x01\x02", "Unknown(data=0x0102)"),
    ],
)
def test_reverts_are_explained(data: bytes, text: str) -> None:
    assert str(explain_revert(data)) == text


@given(st.binary(max_size=300))
def test_no_revert_data_can_break_the_explanation(data: bytes) -> None:
    for selector in (b"", keccak(b"Error(string)")[:4], keccak(b"InvalidOrder(bytes32)")[:4]):
        assert explain_revert(selector + data).name
