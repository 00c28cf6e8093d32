"""Commands, refusals, batches and settings: pure rules."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from snowrail_chain.abi import Execution, execute_many_calldata
from snowrail_chain.addresses import NATIVE_TOKEN, checksum_address
from snowrail_chain.config import ChainConfig, ChainRegistry, TokenConfig
from snowrail_chain.eip712 import Order, order_hash
from snowrail_chain.lane import FeePolicy
from snowrail_events import SettlementExecuteV1
from snowrail_events.fields import OrderTerms
from snowrail_settlement.domain.batch import (
    LARGEST_ITEM_GAS,
    OVERHEAD_GAS,
    Candidate,
    Limits,
    affordable,
    bytes_of,
    first_that_fit,
    gas_limit_of,
    judge_simulation,
)
from snowrail_settlement.domain.command import MAX_SIGNATURE_BYTES, read_command, refusal_of
from snowrail_settlement.domain.refusals import (
    MAX_DETAIL_CHARACTERS,
    Patience,
    explain_refusal,
    patience_with,
)
from snowrail_settlement.keys import open_keys
from snowrail_settlement.settings import Settings

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAYER, RECIPIENT, ESCROW, USDC = (checksum_address(bytes([number]) * 20) for number in (1, 2, 3, 4))
CHAINS = ChainRegistry(
    chains=(
        ChainConfig(
            chain_id=338,
            name="Test chain",
            rpc_urls=("http://127.0.0.1:1",),
            confirmations=2,
            block_time_seconds=1,
            escrow=ESCROW,
            tokens=(
                TokenConfig(symbol="CRO", address=NATIVE_TOKEN, decimals=18),
                TokenConfig(symbol="USDC", address=USDC, decimals=6),
            ),
        ),
    )
)
ORDER = Order(
    payer=PAYER,
    recipient=RECIPIENT,
    token=USDC,
    amount=100,
    valid_after=0,
    valid_until=2**40,
    max_gas_price=10**12,
    safety_buffer=0,
    min_interval=0,
    max_executions=1,
    max_fee=0,
    salt=bytes(32),
)


def command(signed: Order = ORDER, **fields: Any) -> SettlementExecuteV1:
    """A command to execute an order."""
    terms = OrderTerms(
        payer=signed.payer,
        recipient=signed.recipient,
        token=signed.token,
        amount=signed.amount,
        valid_after=signed.valid_after,
        valid_until=signed.valid_until,
        max_gas_price=signed.max_gas_price,
        safety_buffer=signed.safety_buffer,
        min_interval=signed.min_interval,
        max_executions=signed.max_executions,
        max_fee=signed.max_fee,
        salt=f"0x{signed.salt.hex()}",
    )
    values: dict[str, Any] = {
        "payment_id": UUID(int=1),
        "intent_id": UUID(int=2),
        "user_id": UUID(int=3),
        "occurrence": 0,
        "attempt": 1,
        "rail": "evm_escrow",
        "chain_id": 338,
        "escrow": ESCROW,
        "order": terms,
        "order_hash": f"0x{order_hash(signed).hex()}",
        "signature": "0x" + "11" * 65,
        "requested_at": NOW,
    }
    return SettlementExecuteV1.model_validate({**values, **fields})


def test_a_command_that_fits_is_taken_as_it_is() -> None:
    read = read_command(command())
    assert read.order == ORDER
    assert refusal_of(read, CHAINS, NOW) is None
    assert read.item_id == read_command(command(requested_at="2027-01-01T00:00:00Z")).item_id
    assert read.item_id != read_command(command(attempt=2)).item_id


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (command(chain_id=25), "chain_not_supported"),
        (command(replace(ORDER, token=RECIPIENT)), "token_not_supported"),
        (command(replace(ORDER, recipient=PAYER)), "invalid_order"),
        (command(escrow=RECIPIENT), "escrow_unknown"),
        (command(order_hash="0x" + "0" * 64), "invalid_order"),
        (command(occurrence=1), "invalid_order"),
        (command(signature="0x" + "11" * (MAX_SIGNATURE_BYTES + 1)), "invalid_signature"),
        (command(replace(ORDER, valid_until=int(NOW.timestamp()) - 1)), "order_expired"),
        (command(order=command().order.model_copy(update={"amount": 2**200})), "invalid_order"),
        (command(order=command().order.model_copy(update={"payer": "0x" + "ab" * 20})), "invalid_order"),
    ],
)
def test_a_command_that_cannot_be_carried_out_is_refused(event: SettlementExecuteV1, code: str) -> None:
    refusal = refusal_of(read_command(event), CHAINS, NOW)
    assert refusal is not None
    assert (refusal.code, refusal.retryable) == (code, False)


def error(signature: str, *arguments: Any) -> bytes:
    """Revert data of a custom error such as `NotDue(uint32,uint256)`."""
    kinds = signature[signature.index("(") + 1 : -1]
    return keccak(signature.encode())[:4] + encode(kinds.split(",") if kinds else [], arguments)


REFUSALS = [
    (error("OrderCancelled()"), "order_cancelled", False, Patience.REFUSE),
    (error("OrderExpired(uint64)", 5), "order_expired", False, Patience.REFUSE),
    (error("OrderNotYetValid(uint64)", 5), "order_not_yet_valid", True, Patience.WAIT),
    (error("NotDue(uint32,uint256)", 1, 1), "not_due", True, Patience.WAIT),
    (error("GasPriceAboveLimit(uint256,uint256)", 9, 5), "gas_price_above_limit", True, Patience.WAIT),
    (error("OccurrenceMismatch(uint32,uint32)", 1, 3), "occurrence_ahead", True, Patience.WAIT),
    (error("OccurrenceMismatch(uint32,uint32)", 3, 1), "executed_elsewhere", False, Patience.WAIT),
    (error("OccurrenceMismatch(uint32,uint32)", 3, 3)[:20], "executed_elsewhere", False, Patience.WAIT),
    (error("InvalidSignature()"), "invalid_signature", False, Patience.REFUSE),
    (error("InvalidOrder(bytes32)", b"amount".ljust(32, b"\0")), "invalid_order", False, Patience.REFUSE),
    (error("InsufficientDeposit(uint256,uint256)", 5, 4), "insufficient_deposit", False, Patience.REFUSE),
    (error("SafetyBufferBroken(uint256,uint256)", 5, 4), "safety_buffer_broken", False, Patience.REFUSE),
    (
        error("ERC20InsufficientBalance(address,uint256,uint256)", PAYER, 1, 2),
        "insufficient_balance",
        False,
        Patience.REFUSE,
    ),
    (
        error("ERC20InsufficientAllowance(address,uint256,uint256)", PAYER, 1, 2),
        "insufficient_allowance",
        False,
        Patience.REFUSE,
    ),
    (
        error("Error(string)", "ERC20: transfer amount exceeds balance"),
        "insufficient_balance",
        False,
        Patience.REFUSE,
    ),
    (
        error("Error(string)", "ERC20: insufficient allowance"),
        "insufficient_allowance",
        False,
        Patience.REFUSE,
    ),
    (error("Error(string)", "something else"), "execution_reverted", False, Patience.REFUSE),
    (error("SafeERC20FailedOperation(address)", USDC), "token_refused", False, Patience.REFUSE),
    (error("UnexpectedBalanceChange(uint256,uint256)", 5, 4), "token_not_supported", False, Patience.REFUSE),
    (error("NativeTransferFailed(address)", RECIPIENT), "recipient_refused", False, Patience.REFUSE),
    (error("InsufficientGas()"), "insufficient_gas", True, Patience.REFUSE),
    (error("EnforcedPause()"), "escrow_paused", True, Patience.HOLD),
    (
        error("AccessControlUnauthorizedAccount(address,bytes32)", PAYER, bytes(32)),
        "executor_not_authorised",
        True,
        Patience.HOLD,
    ),
    (error("Panic(uint256)", 17), "execution_reverted", False, Patience.REFUSE),
    (b"", "execution_reverted", False, Patience.REFUSE),
    (b"\x01\x02\x03\x04" * 100, "execution_reverted", False, Patience.REFUSE),
]


@pytest.mark.parametrize(("data", "code", "retryable", "patience"), REFUSALS)
def test_every_refusal_has_a_code_and_says_whether_to_try_again(
    data: bytes, code: str, retryable: bool, patience: Patience
) -> None:
    refusal = explain_refusal(data)
    assert (refusal.code, refusal.retryable) == (code, retryable)
    assert refusal.means_executed == (code == "executed_elsewhere")
    assert len(refusal.detail) <= MAX_DETAIL_CHARACTERS
    assert patience_with(data) is patience


@given(st.binary(max_size=300))
def test_no_revert_data_is_too_strange(data: bytes) -> None:
    assert explain_refusal(data).code
    assert patience_with(data) in Patience


def candidate(*, ceiling: int = 10**12, attempt: int = 1, signature: bytes = bytes(65)) -> Candidate:
    """A payment that wants a place."""
    return Candidate(uuid4(), attempt, Execution(ORDER, 0, signature), ceiling)


LIMITS = Limits(gas=2_000_000, bytes=10_000, item_gas=100_000)
POLICY = FeePolicy(base_fee_percent=200, least_base_fee_percent=125, priority_fee=10, replacement_percent=115)


def test_payments_whose_ceiling_is_too_low_wait_and_keep_nobody_back() -> None:
    cheap, rich = candidate(ceiling=1_259), candidate(ceiling=1_260)
    able, waiting = affordable([cheap, rich], 1_000, POLICY)
    assert able == [rich]
    assert waiting == [(cheap.item_id, "gas_price_above_limit")]


def test_simulations_divide_payments() -> None:
    good, bad, early = candidate(), candidate(), candidate()
    plan = judge_simulation(
        [good, bad, early], [None, error("OrderCancelled()"), error("NotDue(uint32,uint256)", 1, 1)]
    )
    assert plan.aboard == [good]
    assert [(item_id, refusal.code) for item_id, refusal in plan.refused] == [
        (bad.item_id, "order_cancelled")
    ]
    assert plan.waiting == [(early.item_id, "not_due")]
    assert plan.hold is None


def test_a_paused_escrow_holds_the_whole_lane_and_fails_nobody() -> None:
    plan = judge_simulation([candidate(), candidate()], [error("OrderCancelled()"), error("EnforcedPause()")])
    assert (plan.aboard, plan.refused, plan.waiting, plan.hold) == ([], [], [], "escrow_paused")


def test_a_transaction_holds_as_many_as_gas_and_bytes_allow_and_at_least_one() -> None:
    by_gas = (LIMITS.gas - OVERHEAD_GAS) // LIMITS.item_gas
    assert len(first_that_fit([candidate()] * 50, LIMITS)) == by_gas
    by_bytes = LIMITS.bytes // bytes_of(candidate(signature=bytes(1_000)))
    assert len(first_that_fit([candidate(signature=bytes(1_000))] * 50, LIMITS)) == by_bytes
    assert len(first_that_fit([candidate()], replace(LIMITS, gas=600_000, bytes=100))) == 1
    assert first_that_fit([], LIMITS) == []


def test_a_second_attempt_gets_all_the_gas_the_escrow_allows() -> None:
    assert gas_limit_of([candidate()], LIMITS) == OVERHEAD_GAS + LIMITS.item_gas
    assert gas_limit_of([candidate(attempt=2)], LIMITS) == OVERHEAD_GAS + LARGEST_ITEM_GAS


def test_a_contract_that_pays_gets_all_the_gas_the_escrow_allows() -> None:
    contract = replace(candidate(), payer_is_contract=True)
    assert gas_limit_of([contract, candidate()], LIMITS) == OVERHEAD_GAS + LARGEST_ITEM_GAS + LIMITS.item_gas


@pytest.mark.parametrize("length", [0, 1, 65, 96, 97, 1_000])
def test_the_bytes_of_a_payment_are_never_underestimated(length: int) -> None:
    item = candidate(signature=bytes(length))
    one = len(execute_many_calldata([item.execution]))
    two = len(execute_many_calldata([item.execution] * 2))
    assert two - one <= bytes_of(item) <= two - one + 32


KEY = "0x" + "11" * 32


@pytest.mark.parametrize(
    "keys", ["", "0x11", f"{KEY},{KEY}", f"{KEY},", "0x" + "zz" * 32, f"{KEY} {KEY}", KEY + "11"]
)
def test_a_wrong_key_is_refused_without_repeating_it(keys: str, tmp_path: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(chains_file=tmp_path, executor_key=SecretStr(keys))
    assert "11111111" not in str(refused.value)
    assert "zzzz" not in str(refused.value)


def test_several_keys_are_several_lanes(tmp_path: Any) -> None:
    settings = Settings(chains_file=tmp_path, executor_key=SecretStr(f"{KEY}, {'22' * 32}"))
    assert settings.keys == [b"\x11" * 32, b"\x22" * 32]


def test_keys_may_be_in_kms_beside_or_instead_of_local_ones(tmp_path: Path) -> None:
    one = Settings(chains_file=tmp_path, executor_kms_keys=f"{PAYER}=alias/executor, {ESCROW}=arn:aws:kms:1")
    assert one.kms_keys == [(PAYER, "alias/executor"), (ESCROW, "arn:aws:kms:1")]
    assert one.keys == []
    both = Settings(chains_file=tmp_path, executor_kms_keys=f"{PAYER}=a", executor_key=SecretStr(KEY))
    assert (len(both.keys), len(both.kms_keys)) == (1, 1)
    for wrong in ("0x12=alias/executor", PAYER, f"{PAYER}="):
        with pytest.raises(ValidationError):
            Settings(chains_file=tmp_path, executor_kms_keys=wrong)
    with pytest.raises(ValidationError, match="name a key"):
        Settings(chains_file=tmp_path)


def test_keys_in_kms_need_credentials_and_are_not_connected_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    settings = Settings(chains_file=tmp_path, executor_kms_keys=f"{PAYER}=a", executor_key=SecretStr(KEY))
    keys = open_keys(settings)
    assert [key.address for key in keys.all][1:] == [PAYER]
    assert len(keys.remote) == 1
