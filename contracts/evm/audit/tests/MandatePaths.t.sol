// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {Mandate, Mandates} from "../../sources/Mandates.sol";
import {PaymentNotices} from "../../sources/PaymentNotices.sol";
import {SpendingMandate} from "../../sources/SpendingMandate.sol";
import {SpendingMandateNotices} from "../../sources/SpendingMandateNotices.sol";
import {NastyToken} from "../../sources/test/NastyTokens.sol";
import {Base} from "./Base.sol";

/// @notice Every way through spending mandates once, refusals with their exact reason included.
contract MandatePathsTest is Base {
    SpendingMandate private _mandates;
    NastyToken private _token;
    address private immutable _alice = vm.addr(ALICE_KEY);
    address private constant BOB = address(0xB0B);
    address private constant STRANGER = address(0x57A);
    address private constant FEE = address(0xFEE);
    bytes32[] private _noProof;
    uint256 private _next;

    function setUp() external {
        vm.warp(START);
        _mandates = new SpendingMandate(address(this));
        _token = new NastyToken();
        _token.mint(_alice, 1e9);
        vm.prank(_alice);
        _token.approve(address(_mandates), type(uint256).max);
        vm.deal(_alice, 1e9);
    }

    function _mandate(address token) private view returns (Mandate memory mandate) {
        mandate.payer = _alice;
        mandate.delegate = address(this);
        mandate.token = token;
        mandate.perPayment = 100;
        mandate.perPeriod = 150;
        mandate.total = 200;
        mandate.period = 60;
        mandate.validAfter = uint64(START);
        mandate.validUntil = uint64(START + 1_000);
        mandate.maxGasPrice = 10;
        mandate.maxFee = 5;
        mandate.recipients = keccak256(bytes.concat(keccak256(abi.encode(BOB))));
    }

    function _open(Mandate memory mandate) private pure returns (Mandate memory) {
        mandate.anyRecipient = true;
        mandate.unlistedPerPayment = 20;
        mandate.unlistedPerPeriod = 30;
        return mandate;
    }

    function _state(Mandate memory mandate) private view returns (SpendingMandate.MandateState memory) {
        return _mandates.mandateState(_mandates.hashMandate(mandate));
    }

    function _spend(Mandate memory mandate, address recipient, uint256 amount) private {
        bytes memory signature = _sign(ALICE_KEY, _mandates.signingDigest(mandate));
        SpendingMandate.Payment memory payment = SpendingMandate.Payment(bytes32(++_next), recipient, amount);
        _mandates.spend(mandate, payment, _noProof, signature);
        require(_mandates.isSpent(_mandates.hashMandate(mandate), payment.id), "the payment is not remembered");
    }

    function _refused(Mandate memory mandate, address recipient, uint256 amount, bytes memory reason) private {
        bytes memory signature = _sign(ALICE_KEY, _mandates.signingDigest(mandate));
        SpendingMandate.Payment memory payment = SpendingMandate.Payment(bytes32(++_next), recipient, amount);
        _expect(reason);
        _mandates.spend(mandate, payment, _noProof, signature);
    }

    function _refused(Mandate memory mandate, address recipient, uint256 amount, bytes4 limit, uint256 left) private {
        _refused(mandate, recipient, amount, abi.encodeWithSelector(limit, left, amount));
    }

    function _malformed(Mandate memory mandate, bytes32 term) private {
        bytes memory reason = abi.encodeWithSelector(Mandates.InvalidMandate.selector, term);
        _refused(mandate, BOB, 1, reason);
        if (mandate.payer != _alice) return;
        _expect(reason);
        vm.prank(_alice);
        _mandates.authorise(mandate);
    }

    function test_malformedMandatesAreRefused() external {
        Mandate memory mandate = _mandate(address(_token));
        mandate.payer = address(0);
        _malformed(mandate, "payer");
        mandate.payer = address(_mandates);
        _malformed(mandate, "payer");
        _malformed(_mandate(address(_mandates)), "token");
        mandate = _mandate(address(_token));
        mandate.perPayment = 0;
        _malformed(mandate, "perPayment");
        mandate.perPayment = 151;
        _malformed(mandate, "perPeriod");
        mandate.perPayment = 100;
        mandate.total = 149;
        _malformed(mandate, "total");
        mandate.total = 200;
        mandate.period = 0;
        _malformed(mandate, "period");
        mandate.period = 60;
        mandate.validUntil = 1;
        _malformed(mandate, "validUntil");
    }

    function test_limitsForUnlistedRecipientsMustMakeSense() external {
        Mandate memory mandate = _mandate(address(_token));
        mandate.unlistedPerPayment = 1;
        _malformed(mandate, "unlistedPerPayment");
        mandate.unlistedPerPayment = 0;
        mandate.unlistedPerPeriod = 1;
        _malformed(mandate, "unlistedPerPeriod");
        mandate.unlistedPerPeriod = 0;
        mandate.recipients = 0;
        _malformed(mandate, "recipients");
        mandate.anyRecipient = true;
        _malformed(mandate, "unlistedPerPayment");
        mandate.unlistedPerPayment = 101;
        _malformed(mandate, "unlistedPerPayment");
        mandate.unlistedPerPayment = 2;
        mandate.unlistedPerPeriod = 1;
        _malformed(mandate, "unlistedPerPeriod");
        mandate.unlistedPerPeriod = 151;
        _malformed(mandate, "unlistedPerPeriod");
    }

    function test_noPaymentToNobodyThePayerOrTheContract() external {
        Mandate memory mandate = _open(_mandate(address(_token)));
        bytes memory invalid = abi.encodeWithSelector(SpendingMandateNotices.InvalidPayment.selector);
        _refused(mandate, BOB, 0, invalid);
        _refused(mandate, _alice, 1, invalid);
        _refused(mandate, address(0), 1, invalid);
        _refused(mandate, address(_mandates), 1, invalid);
        require(_token.balanceOf(_alice) == 1e9, "tokens left");
    }

    function test_limits() external {
        bytes4 abovePayment = SpendingMandateNotices.AbovePaymentLimit.selector;
        bytes4 abovePeriod = SpendingMandateNotices.AbovePeriodLimit.selector;
        bytes4 aboveTotal = SpendingMandateNotices.AboveTotalLimit.selector;
        Mandate memory mandate = _open(_mandate(address(_token)));
        _mandates.setFee(FEE, 100);
        _refused(mandate, BOB, 101, abovePayment, 100);
        _refused(mandate, BOB, 100, abi.encodeWithSelector(abovePayment, 100, 101)); // with its fee
        _refused(mandate, STRANGER, 21, abovePayment, 20);
        _spend(mandate, STRANGER, 20);
        _refused(mandate, STRANGER, 11, abovePeriod, 10);
        _spend(mandate, BOB, 99);
        _refused(mandate, BOB, 50, abovePeriod, 31);
        vm.warp(START + 60);
        _refused(mandate, BOB, 90, aboveTotal, 81);
        _spend(mandate, STRANGER, 20); // another period
        _spend(mandate, BOB, 61);
        SpendingMandate.MandateState memory state = _state(mandate);
        require(state.spent == 200 && state.spentInPeriod == 81 && state.unlistedInPeriod == 20, "wrong counts");
        require(state.periodIndex == 1 && _token.balanceOf(_alice) == 1e9 - 200, "another amount left");
        _expect(PaymentNotices.NothingToMove.selector); // every fee above was rounded down to nothing
        _mandates.withdrawFees(address(_token));
    }

    function test_recipientsOutsideTheListNeedTheFlag() external {
        Mandate memory mandate = _mandate(address(_token));
        bytes memory refused = abi.encodeWithSelector(SpendingMandateNotices.RecipientNotAllowed.selector, STRANGER);
        _refused(mandate, STRANGER, 1, refused);
        mandate.recipients = 0;
        _spend(_open(mandate), BOB, 20);
        require(_state(mandate).unlistedInPeriod == 20, "without a list somebody is listed");
    }

    function test_feesCountAndAreTakenOnTop() external {
        _mandates.setFee(FEE, 100);
        Mandate memory tokens = _mandate(address(_token));
        Mandate memory coin = _mandate(address(0));
        tokens.perPayment = coin.perPayment = 1_010;
        tokens.perPeriod = coin.perPeriod = tokens.total = coin.total = 2_000;
        coin.maxFee = 50;
        vm.prank(_alice);
        _mandates.prepay{value: 1_010}();
        _spend(tokens, BOB, 1_000);
        _spend(coin, BOB, 1_000);
        require(_token.balanceOf(BOB) == 1_000 && BOB.balance == 1_000, "the recipient has another amount");
        require(_token.balanceOf(_alice) == 1e9 - 1_005 && _mandates.prepaid(_alice) == 0, "wrong charge");
        require(_state(tokens).spent == 1_005 && _state(coin).spent == 1_010, "the fee does not count");
        _mandates.withdrawFees(address(_token));
        _mandates.withdrawFees(address(0));
        require(_token.balanceOf(FEE) == 5 && FEE.balance == 10, "the fees did not arrive");
    }

    function test_window() external {
        Mandate memory mandate = _mandate(address(_token));
        vm.warp(START - 1);
        _refused(mandate, BOB, 1, abi.encodeWithSelector(SpendingMandateNotices.MandateNotYetValid.selector, START));
        vm.warp(START + 1_001);
        _refused(mandate, BOB, 1, abi.encodeWithSelector(SpendingMandateNotices.MandateExpired.selector, START + 1_000));
        vm.warp(START);
        vm.txGasPrice(11);
        _refused(mandate, BOB, 1, abi.encodeWithSelector(PaymentNotices.GasPriceAboveLimit.selector, 11, 10));
        require(_state(mandate).spent == 0, "a refused payment counts");
    }

    function test_delegateAuthorisationAndRevocation() external {
        Mandate memory mandate = _mandate(address(_token));
        bytes32 mandateHash = _mandates.hashMandate(mandate);
        SpendingMandate.Payment memory payment = SpendingMandate.Payment(bytes32(0), BOB, 1);
        _expect(PaymentNotices.InvalidSignature.selector);
        _mandates.spend(mandate, payment, _noProof, "");
        _expect(abi.encodeWithSelector(SpendingMandateNotices.NotDelegate.selector, BOB));
        vm.prank(BOB);
        _mandates.spend(mandate, payment, _noProof, "");
        bytes memory notPayer = abi.encodeWithSelector(PaymentNotices.NotPayer.selector, address(this));
        _expect(notPayer);
        _mandates.authorise(mandate);
        vm.expectEmit(address(_mandates));
        emit SpendingMandateNotices.Authorised(mandateHash, _alice);
        vm.prank(_alice);
        _mandates.authorise(mandate);
        _mandates.spend(mandate, payment, _noProof, "");
        _expect(abi.encodeWithSelector(SpendingMandateNotices.AlreadySpent.selector, payment.id));
        _mandates.spend(mandate, payment, _noProof, "");
        _expect(notPayer);
        _mandates.revoke(mandate);
        vm.expectEmit(address(_mandates));
        emit SpendingMandateNotices.Revoked(mandateHash, _alice);
        vm.prank(_alice);
        _mandates.revoke(mandate);
        bytes memory revoked = abi.encodeWithSelector(SpendingMandateNotices.MandateRevoked.selector);
        _expect(revoked);
        vm.prank(_alice);
        _mandates.revoke(mandate);
        _expect(revoked);
        vm.prank(_alice);
        _mandates.authorise(mandate);
        _refused(mandate, BOB, 1, revoked);
        require(_token.balanceOf(BOB) == 1, "not exactly one payment");
    }

    function test_prepaidCoin() external {
        Mandate memory mandate = _mandate(address(0));
        _expect(PaymentNotices.NothingToMove.selector);
        _mandates.prepay();
        _refused(mandate, BOB, 1, abi.encodeWithSelector(PaymentNotices.InsufficientDeposit.selector, 1, 0));
        vm.prank(_alice);
        _mandates.prepay{value: 100}();
        _spend(mandate, BOB, 10);
        _expect(PaymentNotices.NothingToMove.selector);
        _mandates.withdraw(1);
        vm.prank(_alice);
        _mandates.withdraw(30);
        require(_mandates.prepaid(_alice) == 60, "another amount is left");
        vm.expectEmit(address(_mandates));
        emit SpendingMandateNotices.Withdrawn(_alice, 60, 0);
        vm.prank(_alice);
        _mandates.withdraw(1_000);
        require(_alice.balance == 1e9 - 10 && BOB.balance == 10, "not all came back");
        vm.deal(address(this), 5);
        _mandates.prepay{value: 5}();
        _expect(abi.encodeWithSelector(PaymentNotices.ReturnFailed.selector, address(this)));
        _mandates.withdraw(5); // this contract takes no coin
        require(_mandates.prepaid(address(this)) == 5, "a failed return is forgotten");
    }

    function test_aPauseStopsPaymentsAndNoWayOut() external {
        Mandate memory mandate = _mandate(address(_token));
        vm.prank(_alice);
        _mandates.prepay{value: 100}();
        _mandates.pause();
        _refused(mandate, BOB, 1, abi.encodeWithSelector(Pausable.EnforcedPause.selector));
        vm.prank(_alice);
        _mandates.withdraw(100);
        require(_alice.balance == 1e9, "the coin is locked");
        _mandates.unpause();
        _spend(mandate, BOB, 1);
        _mandates.pause();
        vm.prank(_alice);
        _mandates.revoke(mandate);
        require(_state(mandate).revoked, "the mandate goes on");
    }
}
