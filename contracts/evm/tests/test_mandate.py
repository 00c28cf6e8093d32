"""What a delegate may spend, every limit of a mandate, and the payer's way out."""

from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode

from snowrail_chain.abi import (
    MandateAuthorised,
    MandateRevoked,
    MandateState,
    Prepaid,
    Spent,
    Withdrawn,
    authorise_calldata,
    explain_revert,
    prepay_calldata,
    revoke_calldata,
    spend_calldata,
    withdraw_calldata,
)
from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.mandate import InvalidMandate, RecipientList, mandate_hash

from .chains import START_TIME, address_of
from .mandates import DELEGATE, LIST, LISTED, Mandates
from .test_hostile import CONFIGURE_TOKEN, RETURN_BOMB, REVERT, configure
from .world import RICH, World, call, compact, malleated, person

ALICE = person("alice")
MALLORY = person("mallory")
STRANGER = address_of("stranger")


@pytest.fixture
def mandates(world: World) -> Mandates:
    """A fresh contract, for which Alice has prepaid and allowed plenty."""
    made = Mandates(world)
    world.chain.set_balance(ALICE.address, RICH)
    world.must(ALICE.address, made.address, prepay_calldata(), value=10_000)
    for token in (world.usdc, world.usdt):
        world.mint(token, ALICE.address, 10_000)
        world.approve(token, ALICE.address, 10_000, made.address)
    return made


@pytest.mark.parametrize("token_name", ["native", "usdc", "usdt"])
def test_a_payment_is_made_once(mandates: Mandates, token_name: str) -> None:
    world = mandates.world
    token = NATIVE_TOKEN if token_name == "native" else getattr(world, token_name)
    mandate = mandates.mandate(ALICE.address, token)
    outcome = mandates.spend(mandate, 60, number=7)
    assert mandates.events(outcome) == [
        Spent(mandate_hash(mandate), (7).to_bytes(32, "big"), LISTED[0], ALICE.address, token, 60, 0)
    ]
    assert world.token_balance(token, LISTED[0]) == 60
    assert mandates.spend_error(mandate, 60, number=7) == "AlreadySpent"
    assert mandates.spend_error(mandate, 1, number=7, recipient=LISTED[1]) == "AlreadySpent"
    assert mandates.spend(mandate, 60, number=8).success
    assert world.token_balance(token, LISTED[0]) == 120
    assert mandates.prepaid(ALICE.address) == (9_880 if token_name == "native" else 10_000)


def test_limits_hold_per_payment_per_period_and_in_total(mandates: Mandates) -> None:
    mandate = mandates.mandate(ALICE.address)
    assert mandates.spend_error(mandate, 101) == "AbovePaymentLimit"
    assert mandates.spend_error(mandate, 2**256 - 1) == "AbovePaymentLimit"
    for number in range(2):
        assert mandates.spend(mandate, 100, number=number).success
    assert mandates.spend_error(mandate, 51, number=2) == "AbovePeriodLimit"
    assert mandates.spend(mandate, 50, number=2).success
    mandates.world.chain.set_time(START_TIME + 3_599)
    assert mandates.spend_error(mandate, 1, number=3) == "AbovePeriodLimit"
    mandates.world.chain.set_time(START_TIME + 3_600)
    for number in range(3, 5):
        assert mandates.spend(mandate, 100, number=number).success
    mandates.world.chain.set_time(START_TIME + 10 * 3_600)
    assert mandates.spend(mandate, 100, number=5).success
    assert mandates.spend_error(mandate, 51, number=6) == "AboveTotalLimit"
    assert mandates.spend(mandate, 50, number=6).success
    mandates.world.chain.set_time(START_TIME + 20 * 3_600)
    assert mandates.spend_error(mandate, 1, number=7) == "AboveTotalLimit"
    assert mandates.state(mandate) == MandateState(600, 150, 0, 10, authorised=False, revoked=False)


def test_only_listed_recipients_are_paid(mandates: Mandates) -> None:
    mandate = mandates.mandate(ALICE.address)
    for recipient in LISTED:
        assert mandates.spend(mandate, 10, number=LISTED.index(recipient), recipient=recipient).success
    assert mandates.spend_error(mandate, 10, number=9, recipient=STRANGER) == "RecipientNotAllowed"
    foreign = LIST.proof(LISTED[0])
    refusal = mandates.spend_error(mandate, 10, number=9, recipient=STRANGER, proof=foreign)
    assert refusal == "RecipientNotAllowed"
    assert mandates.spend_error(mandate, 10, number=9, proof=[]) == "RecipientNotAllowed"


def test_a_list_of_one_is_its_own_proof_and_lists_ignore_order() -> None:
    assert RecipientList(LISTED[:1]).proof(LISTED[0]) == []
    assert RecipientList(LISTED[::-1]).root == RecipientList([*LISTED, LISTED[0]]).root == LIST.root
    with pytest.raises(ValueError, match="not in list"):
        LIST.proof(STRANGER)
    with pytest.raises(InvalidMandate):
        RecipientList([])


def test_unlisted_recipients_need_the_flag_and_keep_to_its_own_limits(mandates: Mandates) -> None:
    terms: dict[str, Any] = {"any_recipient": True, "unlisted_per_payment": 20, "unlisted_per_period": 30}
    mandate = mandates.mandate(ALICE.address, **terms)
    assert mandates.spend_error(mandate, 21, recipient=STRANGER) == "AbovePaymentLimit"
    assert mandates.spend(mandate, 20, recipient=STRANGER).success
    assert mandates.spend_error(mandate, 11, number=1, recipient=STRANGER) == "AbovePeriodLimit"
    assert mandates.spend(mandate, 10, number=1, recipient=STRANGER).success
    assert mandates.spend(mandate, 100, number=2).success
    assert mandates.state(mandate).unlisted_in_period == 30
    mandates.world.chain.set_time(START_TIME + 3_600)
    assert mandates.spend(mandate, 20, number=3, recipient=STRANGER).success
    unlisted_only = mandates.mandate(ALICE.address, recipients=bytes(32), **terms)
    assert mandates.spend(unlisted_only, 20, proof=LIST.proof(LISTED[0])).success
    assert mandates.state(unlisted_only).unlisted_in_period == 20


def test_a_mandate_ends_with_the_transaction_that_revokes_it(mandates: Mandates) -> None:
    world = mandates.world
    mandate = mandates.mandate(ALICE.address)
    assert mandates.spend(mandate, 10).success
    for stranger in (MALLORY.address, DELEGATE, world.admin):
        assert world.refusal(stranger, mandates.address, revoke_calldata(mandate)) == "NotPayer"
    world.must(world.admin, mandates.address, call("pause()"))
    outcome = world.must(ALICE.address, mandates.address, revoke_calldata(mandate))
    assert mandates.events(outcome) == [MandateRevoked(mandate_hash(mandate), ALICE.address)]
    world.must(world.admin, mandates.address, call("unpause()"))
    assert mandates.spend_error(mandate, 10, number=1) == "MandateRevoked"
    for data in (revoke_calldata(mandate), authorise_calldata(mandate)):
        assert world.refusal(ALICE.address, mandates.address, data) == "MandateRevoked"
    assert mandates.spend(mandates.mandate(ALICE.address, salt=b"\1" * 32), 10).success


@pytest.mark.parametrize(
    ("terms", "error"),
    [
        ({"valid_after": START_TIME + 1}, "MandateNotYetValid"),
        ({"valid_after": START_TIME - 9, "valid_until": START_TIME - 1}, "MandateExpired"),
        ({"max_gas_price": 9}, "GasPriceAboveLimit"),
    ],
)
def test_a_term_that_does_not_hold_stops_the_payment(
    mandates: Mandates, terms: dict[str, Any], error: str
) -> None:
    assert mandates.spend_error(mandates.mandate(ALICE.address, **terms), 10, gas_price=10) == error


def test_only_the_delegate_spends_and_never_while_paused(mandates: Mandates) -> None:
    mandate = mandates.mandate(ALICE.address)
    for stranger in (ALICE.address, MALLORY.address, mandates.world.executor):
        mandates.world.chain.set_balance(stranger, RICH)
        assert mandates.spend_error(mandate, 10, sender=stranger) == "NotDelegate"
    mandates.world.must(mandates.world.admin, mandates.address, call("pause()"))
    assert mandates.spend_error(mandate, 10) == "EnforcedPause"


def test_only_the_payers_one_signature_of_these_terms_counts(mandates: Mandates) -> None:
    mandate = mandates.mandate(ALICE.address)
    right = mandates.sign(ALICE, mandate)
    wrong = [
        mandates.sign(MALLORY, mandate),
        mandates.sign(ALICE, mandate, chain_id=25),
        mandates.sign(ALICE, mandate, contract=mandates.world.escrow),
        mandates.sign(ALICE, replace(mandate, total=601)),
        malleated(right),
        compact(right),
        right + b"\0",
        b"",
    ]
    for signature in wrong:
        assert mandates.spend_error(mandate, 10, signature=signature) == "InvalidSignature"
    wider = replace(mandate, per_payment=200)
    assert mandates.spend_error(wider, 200, signature=right) == "InvalidSignature"


def test_a_mandate_authorised_in_person_needs_no_signature(mandates: Mandates) -> None:
    world = mandates.world
    mandate = mandates.mandate(ALICE.address)
    assert world.refusal(MALLORY.address, mandates.address, authorise_calldata(mandate)) == "NotPayer"
    outcome = world.must(ALICE.address, mandates.address, authorise_calldata(mandate))
    assert mandates.events(outcome) == [MandateAuthorised(mandate_hash(mandate), ALICE.address)]
    assert mandates.spend(mandate, 10, signature=b"").success


def test_a_contract_account_gives_a_mandate_by_its_own_signature(mandates: Mandates) -> None:
    world = mandates.world
    account = world.deploy("TestSmartAccount", encode(["address"], [ALICE.address]))
    world.mint(world.usdc, account, 100)
    approve = call("approve(address,uint256)", mandates.address, 100)
    world.must(ALICE.address, account, call("perform(address,uint256,bytes)", world.usdc, 0, approve))
    mandate = mandates.mandate(account, world.usdc)
    refusal = mandates.spend_error(mandate, 10, signature=mandates.sign(MALLORY, mandate))
    assert refusal == "InvalidSignature"
    assert mandates.spend(mandate, 10).success


def test_prepaid_coin_is_the_payers_at_any_time(mandates: Mandates) -> None:
    world = mandates.world
    assert world.refusal(ALICE.address, mandates.address, prepay_calldata()) == "NothingToMove"
    outcome = world.must(ALICE.address, mandates.address, prepay_calldata(), value=5)
    assert mandates.events(outcome) == [Prepaid(ALICE.address, 5, 10_005)]
    world.must(world.admin, mandates.address, call("pause()"))
    before = world.chain.balance(ALICE.address)
    outcome = world.must(ALICE.address, mandates.address, withdraw_calldata(1_000))
    assert mandates.events(outcome) == [Withdrawn(ALICE.address, 1_000, 9_005)]
    world.must(ALICE.address, mandates.address, withdraw_calldata(2**256 - 1))
    assert world.chain.balance(ALICE.address) == before + 10_005
    assert world.refusal(ALICE.address, mandates.address, withdraw_calldata(1)) == "NothingToMove"
    assert world.refusal(MALLORY.address, mandates.address, withdraw_calldata(1)) == "NothingToMove"
    world.must(world.admin, mandates.address, call("unpause()"))
    assert mandates.spend_error(mandates.mandate(ALICE.address), 10) == "InsufficientDeposit"


def test_a_payer_that_refuses_coin_keeps_its_balance(mandates: Mandates) -> None:
    world = mandates.world
    account = world.deploy("TestSmartAccount", encode(["address"], [ALICE.address]))
    world.chain.set_balance(account, 50)
    perform = "perform(address,uint256,bytes)"
    world.must(ALICE.address, account, call(perform, mandates.address, 50, prepay_calldata()))
    world.must(ALICE.address, account, call("setAccepting(bool)", False))
    data = call(perform, mandates.address, 0, withdraw_calldata(50))
    assert world.refusal(ALICE.address, account, data) == "ReturnFailed"
    assert mandates.prepaid(account) == 50


def test_one_payer_never_spends_what_another_prepaid(mandates: Mandates) -> None:
    mandate = mandates.mandate(MALLORY.address)
    signature = mandates.sign(MALLORY, mandate)
    assert mandates.spend_error(mandate, 10, signature=signature) == "InsufficientDeposit"


def test_fees_count_against_the_limits(mandates: Mandates) -> None:
    world = mandates.world
    treasury = address_of("treasury")
    world.must(world.admin, mandates.address, call("setFee(address,uint256)", treasury, 100))
    terms: dict[str, Any] = {"per_payment": 1_000, "per_period": 2_000, "total": 2_000, "max_fee": 5}
    for token in (NATIVE_TOKEN, world.usdc):
        mandate = mandates.mandate(ALICE.address, token, **terms)
        assert mandates.spend_error(mandate, 996) == "AbovePaymentLimit"
        outcome = mandates.spend(mandate, 995)
        event = mandates.events(outcome)[0]
        assert isinstance(event, Spent)
        assert event.fee == 5
        assert mandates.state(mandate).spent == 1_000
        world.must(MALLORY.address, mandates.address, call("withdrawFees(address)", token))
        assert world.token_balance(token, treasury) == 5


@pytest.mark.parametrize("recipient", ["zero", "contract", "payer"])
def test_nobody_pays_in_a_circle(mandates: Mandates, recipient: str) -> None:
    to = {"zero": NATIVE_TOKEN, "contract": mandates.address, "payer": ALICE.address}[recipient]
    assert mandates.spend_error(mandates.mandate(ALICE.address), 10, recipient=to) == "InvalidPayment"
    assert mandates.spend_error(mandates.mandate(ALICE.address), 0) == "InvalidPayment"


@pytest.mark.parametrize("behaviour", [REVERT, RETURN_BOMB])
def test_a_payment_to_a_hostile_recipient_changes_nothing(mandates: Mandates, behaviour: int) -> None:
    world = mandates.world
    hostile = world.deploy("HostileRecipient")
    configure(world, hostile, behaviour)
    allowed = RecipientList([hostile])
    mandate = mandates.mandate(ALICE.address, recipients=allowed.root)
    refusal = mandates.spend_error(mandate, 10, recipient=hostile, proof=allowed.proof(hostile))
    assert refusal == "NativeTransferFailed"
    assert mandates.state(mandate).spent == 0
    assert mandates.prepaid(ALICE.address) == 10_000


def test_no_entry_is_open_while_a_payment_is_under_way(mandates: Mandates) -> None:
    """A token that is delegate and payer calls back from its transfer; afterwards the same call succeeds."""
    world = mandates.world
    token = world.deploy("HostileToken")
    world.chain.set_balance(token, RICH)
    perform = "perform(address,uint256,bytes)"
    world.must(world.admin, token, call(perform, mandates.address, 500, prepay_calldata()))
    world.must(world.admin, token, call("mint(address,uint256)", ALICE.address, 10_000))
    world.approve(token, ALICE.address, 10_000, mandates.address)
    nested = mandates.mandate(ALICE.address, delegate=token)
    proof, signature = LIST.proof(LISTED[0]), mandates.sign(ALICE, nested)
    attempts = [
        (0, spend_calldata(nested, bytes(32), LISTED[0], 10, proof, signature)),
        (0, withdraw_calldata(10)),
        (1, prepay_calldata()),
    ]
    outer = mandates.mandate(ALICE.address, token)
    for number, (value, data) in enumerate(attempts):
        world.must(world.admin, token, call(CONFIGURE_TOKEN, mandates.address, value, data, 0))
        assert mandates.spend(outer, 10, number=number).success
        assert not world.chain.read(token, call("reentered()"))[-1]
        world.must(world.admin, token, call(perform, mandates.address, value, data))
    assert mandates.state(outer).spent == 10 * len(attempts)


@pytest.mark.parametrize(
    ("term", "terms"),
    [
        ("payer", {"payer": NATIVE_TOKEN}),
        ("perPayment", {"per_payment": 0}),
        ("perPeriod", {"per_period": 99}),
        ("total", {"total": 249}),
        ("period", {"period": 0}),
        ("validUntil", {"valid_until": START_TIME - 1}),
        ("recipients", {"recipients": bytes(32)}),
        ("unlistedPerPayment", {"unlisted_per_payment": 1}),
        ("unlistedPerPeriod", {"unlisted_per_period": 1}),
        ("unlistedPerPayment", {"any_recipient": True}),
        ("unlistedPerPayment", {"any_recipient": True, "unlisted_per_payment": 101}),
        ("unlistedPerPeriod", {"any_recipient": True, "unlisted_per_payment": 9, "unlisted_per_period": 8}),
        ("unlistedPerPeriod", {"any_recipient": True, "unlisted_per_payment": 9, "unlisted_per_period": 251}),
    ],
)
def test_a_mandate_that_makes_no_sense_is_refused_here_and_there(
    mandates: Mandates, term: str, terms: dict[str, object]
) -> None:
    mandate = mandates.mandate(ALICE.address)
    with pytest.raises(InvalidMandate) as refusal:
        replace(mandate, **terms)
    assert refusal.value.term == term
    for name, value in terms.items():
        object.__setattr__(mandate, name, value)
    reason = explain_revert(mandates.spend(mandate, 10).output)
    assert (reason.name, reason.arguments["term"]) == ("InvalidMandate", term)


@pytest.mark.parametrize(
    ("term", "terms"),
    [("total", {"total": 2**128}), ("delegate", {"delegate": "0x"}), ("salt", {"salt": b""})],
)
def test_terms_out_of_range_make_no_mandate(mandates: Mandates, term: str, terms: dict[str, object]) -> None:
    with pytest.raises(InvalidMandate) as refusal:
        replace(mandates.mandate(ALICE.address), **terms)
    assert refusal.value.term == term


def test_the_contract_is_no_party_to_a_mandate(mandates: Mandates) -> None:
    for terms in ({"payer": mandates.address}, {"token": mandates.address}):
        mandate = replace(mandates.mandate(ALICE.address), **terms)
        assert mandates.spend_error(mandate, 10) == "InvalidMandate"
