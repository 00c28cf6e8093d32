// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IntentEscrow} from "../../sources/IntentEscrow.sol";
import {Order} from "../../sources/Orders.sol";
import {NastyToken, PhantomPermitToken, SaltedPermitToken} from "../../sources/test/NastyTokens.sol";
import {HostileRecipient} from "../../sources/test/Hostile.sol";
import {Base} from "./Base.sol";

/// @notice Every way through the escrow once, refusals included.
contract EscrowPathsTest is Base {
    IntentEscrow private _escrow;
    NastyToken private _token;
    address private immutable _alice = vm.addr(ALICE_KEY);
    address private constant BOB = address(0xB0B);

    function setUp() external {
        vm.warp(START);
        _escrow = new IntentEscrow(address(this));
        _escrow.grantRole(_escrow.EXECUTOR_ROLE(), address(this));
        _token = new NastyToken();
        _token.mint(_alice, 1e9);
        vm.prank(_alice);
        _token.approve(address(_escrow), type(uint256).max);
        vm.deal(_alice, 1e9);
    }

    function _order(address token) private view returns (Order memory order) {
        order.payer = _alice;
        order.recipient = BOB;
        order.token = token;
        order.amount = 1_000;
        order.validAfter = uint64(START);
        order.validUntil = uint64(START + 100);
        order.maxGasPrice = 10;
        order.maxExecutions = 1;
        order.maxFee = 5;
    }

    function _signed(Order memory order) private view returns (bytes memory) {
        return _sign(ALICE_KEY, _escrow.signingDigest(order));
    }

    function _refused(Order memory order) private {
        bytes memory signature = _signed(order);
        vm.expectRevert();
        _escrow.execute(order, 0, signature);
    }

    function test_malformedOrdersAreRefused() external {
        Order memory order = _order(address(_token));
        order.payer = address(0);
        _refused(order);
        order = _order(address(_token));
        order.recipient = _alice;
        _refused(order);
        order = _order(address(_escrow));
        _refused(order);
        order = _order(address(_token));
        order.amount = 0;
        _refused(order);
        order.amount = 1;
        order.maxFee = type(uint256).max;
        _refused(order);
        order.maxFee = 0;
        order.validUntil = order.validAfter - 1;
        _refused(order);
        order.validUntil = order.validAfter;
        order.maxExecutions = 0;
        _refused(order);
        order.maxExecutions = 2;
        _refused(order);
    }

    function test_termsThatDoNotHoldAreRefused() external {
        Order memory order = _order(address(_token));
        order.validAfter = uint64(START + 1);
        _refused(order);
        order = _order(address(_token));
        vm.warp(START + 101);
        _refused(order);
        vm.warp(START);
        vm.txGasPrice(11);
        _refused(order);
        vm.txGasPrice(1);
        order.safetyBuffer = 1e9;
        _refused(order);
        order = _order(address(0));
        _refused(order);
        vm.expectRevert();
        _escrow.execute(_order(address(_token)), 0, "");
        vm.expectRevert();
        _escrow.execute(_order(address(_token)), 1, "");
        order = _order(address(_token));
        order.minInterval = 50;
        order.maxExecutions = 2;
        bytes memory signature = _signed(order);
        _escrow.execute(order, 0, signature);
        vm.expectRevert();
        _escrow.execute(order, 1, signature);
        vm.warp(START + 100);
        _escrow.execute(order, 1, signature);
        vm.expectRevert();
        _escrow.execute(order, 2, signature);
    }

    function test_depositsAndTheWayOut() external {
        Order memory order = _order(address(_token));
        vm.expectRevert();
        _escrow.deposit(order, 1);
        vm.expectRevert();
        _escrow.fund(order);
        vm.prank(_alice);
        vm.expectRevert();
        _escrow.fund(order);
        vm.prank(_alice);
        vm.expectRevert();
        _escrow.deposit(order, 0);
        vm.prank(_alice);
        vm.expectRevert();
        _escrow.deposit(order, 2_000);
        Order memory coin = _order(address(0));
        vm.prank(_alice);
        vm.expectRevert();
        _escrow.deposit(coin, 1);
        vm.prank(_alice);
        _escrow.fund{value: 1_000}(coin);
        vm.expectRevert();
        _escrow.returnExpired(coin);
        vm.warp(START + 101);
        vm.prank(_alice);
        vm.expectRevert();
        _escrow.deposit(order, 1);
        _escrow.returnExpired(coin);
        vm.expectRevert();
        _escrow.returnExpired(coin);
        require(_alice.balance == 1e9, "not all came back");
        vm.warp(START);
        vm.prank(_alice);
        _escrow.deposit(order, 1_000);
        vm.expectRevert();
        _escrow.cancel(order);
        _token.setBehaviour(NastyToken.Behaviour.Paused);
        vm.prank(_alice);
        _escrow.cancel(order);
        vm.warp(START + 101);
        vm.expectRevert();
        _escrow.returnExpired(order);
        vm.warp(START);
        _token.setBehaviour(NastyToken.Behaviour.Honest);
        vm.prank(_alice);
        _escrow.cancel(order);
        require(_token.balanceOf(_alice) == 1e9, "tokens did not come back");
        vm.prank(_alice);
        vm.expectRevert();
        _escrow.cancel(order);
        vm.prank(_alice);
        vm.expectRevert();
        _escrow.deposit(order, 1_000);
        _refused(order);
    }

    function test_permits() external {
        SaltedPermitToken token = new SaltedPermitToken();
        token.mint(_alice, 5_000);
        Order memory order = _order(address(token));
        bytes32 permitHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                _alice,
                address(_escrow),
                uint256(1_000),
                uint256(0),
                START
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(ALICE_KEY, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), permitHash)));
        IntentEscrow.Permit memory permit = IntentEscrow.Permit(1_000, START, v, r, s);
        vm.expectRevert();
        _escrow.fundWithPermit(order, permit, "");
        bytes memory signature = _signed(order);
        _escrow.fundWithPermit(order, permit, signature);
        _escrow.execute(order, 0, signature);
        vm.prank(_alice);
        vm.expectRevert();
        _escrow.fundWithPermit(_order(address(0)), permit, "");
        PhantomPermitToken phantom = new PhantomPermitToken();
        phantom.mint(_alice, 5_000);
        vm.prank(_alice);
        phantom.approve(address(_escrow), 5_000);
        order = _order(address(phantom));
        signature = _signed(order);
        vm.expectRevert();
        _escrow.fundWithPermit(order, permit, signature);
    }

    function test_manyItemsFailAloneAndFeesAreCapped() external {
        vm.expectRevert();
        _escrow.setFee(address(0), 1);
        vm.expectRevert();
        _escrow.setFee(address(0xFEE), 101);
        vm.expectRevert();
        _escrow.withdrawFees(address(_token));
        _escrow.setFee(address(0xFEE), 100);
        vm.expectRevert();
        _escrow.withdrawFees(address(_token));
        HostileRecipient hostile = new HostileRecipient();
        hostile.configure(HostileRecipient.Behaviour.Revert, address(0), "");
        IntentEscrow.Execution[] memory items = new IntentEscrow.Execution[](4);
        Order memory order = _order(address(_token));
        items[0] = IntentEscrow.Execution(order, 0, _signed(order));
        order = _order(address(0));
        order.recipient = address(hostile);
        vm.prank(_alice);
        _escrow.fund{value: 1_005}(order);
        items[1] = IntentEscrow.Execution(order, 0, "");
        NastyToken other = new NastyToken();
        other.mint(_alice, 1e6);
        vm.prank(_alice);
        other.approve(address(_escrow), 1e6);
        other.setBehaviour(NastyToken.Behaviour.TakesFee);
        order = _order(address(other));
        items[2] = IntentEscrow.Execution(order, 0, _signed(order));
        other = new NastyToken();
        other.mint(_alice, 1e6);
        vm.prank(_alice);
        other.approve(address(_escrow), 1e6);
        other.setBehaviour(NastyToken.Behaviour.RevertsHuge);
        order = _order(address(other));
        items[3] = IntentEscrow.Execution(order, 0, _signed(order));
        vm.expectRevert();
        _escrow.executeMany{gas: 300_000}(items);
        _escrow.executeMany(items);
        require(_token.balanceOf(BOB) == 1_000 && address(_escrow).balance == 1_005, "wrong items were paid");
        require(_escrow.accruedFees(address(_token)) == 5, "wrong fee");
        _token.setBehaviour(NastyToken.Behaviour.ReturnsFalse);
        vm.expectRevert();
        _escrow.withdrawFees(address(_token));
        _token.setBehaviour(NastyToken.Behaviour.ReturnsNothing);
        _escrow.withdrawFees(address(_token));
        vm.expectRevert();
        _escrow.executeMany(new IntentEscrow.Execution[](257));
        vm.expectRevert();
        _escrow.executeItem(items[0]);
        vm.expectRevert();
        _escrow.execute{gas: 120_000}(items[1].order, 0, "");
        _escrow.pause();
        vm.expectRevert();
        _escrow.executeMany(items);
        _escrow.unpause();
        vm.prank(BOB);
        vm.expectRevert();
        _escrow.pause();
    }
}
