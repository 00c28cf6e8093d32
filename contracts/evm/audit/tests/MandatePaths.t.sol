// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Mandate} from "../../sources/Mandates.sol";
import {SpendingMandate} from "../../sources/SpendingMandate.sol";
import {NastyToken} from "../../sources/test/NastyTokens.sol";
import {Base} from "./Base.sol";

/// @notice Every way through spending mandates once, refusals included.
contract MandatePathsTest is Base {
    SpendingMandate private _mandates;
    NastyToken private _token;
    address private immutable _alice = vm.addr(ALICE_KEY);
    address private constant BOB = address(0xB0B);
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

    function _spend(Mandate memory mandate, address recipient, uint256 amount) private {
        bytes memory signature = _sign(ALICE_KEY, _mandates.signingDigest(mandate));
        SpendingMandate.Payment memory payment = SpendingMandate.Payment(bytes32(++_next), recipient, amount);
        _mandates.spend(mandate, payment, _noProof, signature);
    }

    function _refused(Mandate memory mandate, address recipient, uint256 amount) private {
        bytes memory signature = _sign(ALICE_KEY, _mandates.signingDigest(mandate));
        SpendingMandate.Payment memory payment = SpendingMandate.Payment(bytes32(uint256(99)), recipient, amount);
        vm.expectRevert();
        _mandates.spend(mandate, payment, _noProof, signature);
    }

    function test_malformedMandatesAreRefused() external {
        Mandate memory mandate = _mandate(address(_token));
        mandate.payer = address(0);
        _refused(mandate, BOB, 1);
        _refused(_mandate(address(_mandates)), BOB, 1);
        mandate = _mandate(address(_token));
        mandate.perPayment = 0;
        _refused(mandate, BOB, 1);
        mandate.perPayment = 151;
        _refused(mandate, BOB, 1);
        mandate.perPayment = 100;
        mandate.total = 149;
        _refused(mandate, BOB, 1);
        mandate.total = 200;
        mandate.period = 0;
        _refused(mandate, BOB, 1);
        mandate.period = 60;
        mandate.validUntil = 1;
        _refused(mandate, BOB, 1);
        mandate = _mandate(address(_token));
        mandate.unlistedPerPayment = 1;
        _refused(mandate, BOB, 1);
        mandate.unlistedPerPayment = 0;
        mandate.unlistedPerPeriod = 1;
        _refused(mandate, BOB, 1);
        mandate.unlistedPerPeriod = 0;
        mandate.recipients = 0;
        _refused(mandate, BOB, 1);
        mandate.anyRecipient = true;
        _refused(mandate, BOB, 1);
        mandate.unlistedPerPayment = 2;
        _refused(mandate, BOB, 1);
    }

    function test_limits() external {
        Mandate memory mandate = _mandate(address(_token));
        mandate.anyRecipient = true;
        mandate.unlistedPerPayment = 20;
        mandate.unlistedPerPeriod = 30;
        _mandates.setFee(address(0xFEE), 100);
        _refused(mandate, BOB, 101);
        _refused(mandate, BOB, 100); // with its fee
        _refused(mandate, BOB, 0);
        _refused(mandate, _alice, 1);
        _refused(mandate, address(0x57A), 21);
        _spend(mandate, address(0x57A), 20);
        _refused(mandate, address(0x57A), 11);
        _spend(mandate, BOB, 99);
        _refused(mandate, BOB, 50);
        vm.warp(START + 60);
        _refused(mandate, BOB, 90);
        _spend(mandate, BOB, 80);
        mandate.anyRecipient = false;
        mandate.unlistedPerPayment = 0;
        mandate.unlistedPerPeriod = 0;
        _refused(mandate, address(0x57A), 1);
        mandate.recipients = 0;
        mandate.anyRecipient = true;
        mandate.unlistedPerPayment = 20;
        mandate.unlistedPerPeriod = 30;
        _spend(mandate, BOB, 20);
        vm.expectRevert(); // every fee above was rounded down to nothing
        _mandates.withdrawFees(address(_token));
    }

    function test_windowDelegateAndRevocation() external {
        Mandate memory mandate = _mandate(address(_token));
        vm.warp(START - 1);
        _refused(mandate, BOB, 1);
        vm.warp(START + 1_001);
        _refused(mandate, BOB, 1);
        vm.warp(START);
        vm.txGasPrice(11);
        _refused(mandate, BOB, 1);
        vm.txGasPrice(1);
        SpendingMandate.Payment memory payment = SpendingMandate.Payment(bytes32(0), BOB, 1);
        vm.expectRevert();
        _mandates.spend(mandate, payment, _noProof, "");
        vm.prank(BOB);
        vm.expectRevert();
        _mandates.spend(mandate, payment, _noProof, "");
        vm.expectRevert();
        _mandates.authorise(mandate);
        vm.prank(_alice);
        _mandates.authorise(mandate);
        _mandates.spend(mandate, payment, _noProof, "");
        vm.expectRevert();
        _mandates.spend(mandate, payment, _noProof, "");
        vm.expectRevert();
        _mandates.revoke(mandate);
        vm.prank(_alice);
        _mandates.revoke(mandate);
        vm.prank(_alice);
        vm.expectRevert();
        _mandates.revoke(mandate);
        vm.prank(_alice);
        vm.expectRevert();
        _mandates.authorise(mandate);
        _refused(mandate, BOB, 1);
    }

    function test_prepaidCoin() external {
        Mandate memory mandate = _mandate(address(0));
        vm.expectRevert();
        _mandates.prepay();
        _refused(mandate, BOB, 1);
        vm.prank(_alice);
        _mandates.prepay{value: 100}();
        _spend(mandate, BOB, 10);
        vm.expectRevert();
        _mandates.withdraw(1);
        vm.prank(_alice);
        _mandates.withdraw(1_000);
        require(_alice.balance == 1e9 - 10, "not all came back");
        vm.deal(address(this), 5);
        _mandates.prepay{value: 5}();
        vm.expectRevert();
        _mandates.withdraw(5); // this contract takes no coin
    }
}
