// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {IntentEscrow} from "../../sources/IntentEscrow.sol";
import {IntentEscrowNotices} from "../../sources/IntentEscrowNotices.sol";
import {Order, Orders} from "../../sources/Orders.sol";
import {PaymentNotices} from "../../sources/PaymentNotices.sol";
import {NastyToken, PhantomPermitToken, SaltedPermitToken} from "../../sources/test/NastyTokens.sol";
import {HostileRecipient} from "../../sources/test/Hostile.sol";
import {Base, Log} from "./Base.sol";

/// @notice Every way through the escrow once, refusals with their exact reason included.
contract EscrowPathsTest is Base {
    IntentEscrow private _escrow;
    NastyToken private _token;
    address private immutable _alice = vm.addr(ALICE_KEY);
    address private constant BOB = address(0xB0B);
    address private constant FEE = address(0xFEE);

    function setUp() external {
        vm.warp(START);
        _escrow = new IntentEscrow(address(this));
        _escrow.grantRole(_escrow.EXECUTOR_ROLE(), address(this));
        _token = _allowed(new NastyToken());
        vm.deal(_alice, 1e9);
    }

    function _allowed(NastyToken token) private returns (NastyToken) {
        token.mint(_alice, 1e9);
        vm.prank(_alice);
        token.approve(address(_escrow), type(uint256).max);
        return token;
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

    function _state(Order memory order) private view returns (IntentEscrow.OrderState memory) {
        return _escrow.orderState(_escrow.hashOrder(order));
    }

    function _refused(Order memory order, uint32 occurrence, bytes memory reason) private {
        bytes memory signature = _signed(order);
        _expect(reason);
        _escrow.execute(order, occurrence, signature);
    }

    function _malformed(Order memory order, bytes32 term) private {
        _refused(order, 0, abi.encodeWithSelector(Orders.InvalidOrder.selector, term));
    }

    function test_malformedOrdersAreRefused() external {
        Order memory order = _order(address(_token));
        order.payer = address(0);
        _malformed(order, "payer");
        order.payer = address(_escrow);
        _malformed(order, "payer");
        order.payer = _alice;
        order.recipient = address(0);
        _malformed(order, "recipient");
        order.recipient = address(_escrow);
        _malformed(order, "recipient");
        order.recipient = _alice;
        _malformed(order, "recipient");
        _malformed(_order(address(_escrow)), "token");
        order = _order(address(_token));
        order.amount = 0;
        _malformed(order, "amount");
        order.amount = uint256(type(uint128).max) + 1;
        _malformed(order, "amount");
        order.amount = 1;
        order.maxFee = uint256(type(uint128).max) + 1;
        _malformed(order, "maxFee");
        order.maxFee = 0;
        order.validUntil = order.validAfter - 1;
        _malformed(order, "validUntil");
        order.validUntil = order.validAfter;
        order.maxExecutions = 0;
        _malformed(order, "maxExecutions");
        order.maxExecutions = 2;
        _malformed(order, "minInterval");
    }

    function test_termsThatDoNotHoldAreRefused() external {
        Order memory order = _order(address(_token));
        vm.warp(START - 1);
        _refused(order, 0, abi.encodeWithSelector(IntentEscrowNotices.OrderNotYetValid.selector, START));
        vm.warp(START + 101);
        _refused(order, 0, abi.encodeWithSelector(IntentEscrowNotices.OrderExpired.selector, START + 100));
        vm.warp(START);
        vm.txGasPrice(11);
        _refused(order, 0, abi.encodeWithSelector(PaymentNotices.GasPriceAboveLimit.selector, 11, 10));
        vm.txGasPrice(1);
        _refused(order, 1, abi.encodeWithSelector(IntentEscrowNotices.OccurrenceMismatch.selector, 0, 1));
        _expect(PaymentNotices.InvalidSignature.selector);
        _escrow.execute(order, 0, "");
        _refused(_order(address(0)), 0, abi.encodeWithSelector(PaymentNotices.InsufficientDeposit.selector, 1_000, 0));
        require(_token.balanceOf(_alice) == 1e9 && _state(order).executed == 0, "something was paid");
    }

    function test_theSafetyBufferStaysInTheWallet() external {
        Order memory order = _order(address(_token));
        order.safetyBuffer = 1e9 - 999;
        bytes memory broken =
            abi.encodeWithSelector(IntentEscrowNotices.SafetyBufferBroken.selector, 1e9 - 999, 1e9 - 1_000);
        _refused(order, 0, broken);
        Order memory coin = _order(address(0));
        coin.safetyBuffer = 1e9 - 999;
        vm.prank(_alice);
        _escrow.fund{value: 1_000}(coin);
        _expect(broken);
        _escrow.execute(coin, 0, "");
        require(_state(coin).deposited == 1_000 && BOB.balance == 0, "a refused execution moved coin");
        order.safetyBuffer = coin.safetyBuffer = 1e9 - 1_000;
        _escrow.execute(order, 0, _signed(order));
        require(_token.balanceOf(BOB) == 1_000, "the recipient has no tokens");
        vm.deal(_alice, 1e9);
        vm.prank(_alice);
        _escrow.fund{value: 1_000}(coin);
        _escrow.execute(coin, 0, "");
        require(BOB.balance == 1_000 && _alice.balance == 1e9 - 1_000, "the recipient has no coin");
    }

    function test_recurringOrdersCatchUpAndEnd() external {
        Order memory order = _order(address(_token));
        order.minInterval = 50;
        order.maxExecutions = 2;
        _escrow.execute(order, 0, _signed(order));
        _refused(order, 0, abi.encodeWithSelector(IntentEscrowNotices.OccurrenceMismatch.selector, 1, 0));
        _refused(order, 1, abi.encodeWithSelector(IntentEscrowNotices.NotDue.selector, 1, 1));
        vm.warp(START + 100); // time for three, the order has two
        _escrow.execute(order, 1, _signed(order));
        _refused(order, 2, abi.encodeWithSelector(IntentEscrowNotices.NotDue.selector, 2, 2));
        require(_token.balanceOf(BOB) == 2_000 && _state(order).executed == 2, "not exactly two executions");
    }

    function test_depositsAreThePayersAndNeverMoreThanTheOrderSpends() external {
        Order memory order = _order(address(_token));
        Order memory coin = _order(address(0));
        _expect(abi.encodeWithSelector(PaymentNotices.NotPayer.selector, address(this)));
        _escrow.deposit(order, 1);
        _expect(abi.encodeWithSelector(PaymentNotices.NotPayer.selector, address(this)));
        _escrow.fund(coin);
        _refusedDeposit(coin, 1, abi.encodeWithSelector(IntentEscrowNotices.WrongToken.selector, address(0)));
        _expect(abi.encodeWithSelector(IntentEscrowNotices.WrongToken.selector, _token));
        vm.prank(_alice);
        _escrow.fund(order);
        _refusedDeposit(order, 0, abi.encodeWithSelector(PaymentNotices.NothingToMove.selector));
        bytes4 above = IntentEscrowNotices.DepositAboveOrder.selector;
        _refusedDeposit(order, 2_000, abi.encodeWithSelector(above, 1_005, 0, 2_000));
        vm.prank(_alice);
        _escrow.deposit(order, 1_000);
        _refusedDeposit(order, 6, abi.encodeWithSelector(above, 1_005, 1_000, 6));
        vm.warp(START + 101);
        _refusedDeposit(order, 1, abi.encodeWithSelector(IntentEscrowNotices.OrderExpired.selector, START + 100));
        require(_state(order).deposited == 1_000 && _state(order).authorised, "another deposit is remembered");
        require(_token.balanceOf(address(_escrow)) == 1_000 && address(_escrow).balance == 0, "held differs");
    }

    function _refusedDeposit(Order memory order, uint256 amount, bytes memory reason) private {
        _expect(reason);
        vm.prank(_alice);
        _escrow.deposit(order, amount);
    }

    function test_anExpiredDepositGoesBackToItsPayer() external {
        Order memory coin = _order(address(0));
        bytes32 orderHash = _escrow.hashOrder(coin);
        vm.prank(_alice);
        _escrow.fund{value: 1_000}(coin);
        _expect(abi.encodeWithSelector(IntentEscrowNotices.OrderNotExpired.selector, START + 100));
        _escrow.returnExpired(coin);
        vm.warp(START + 101);
        vm.expectEmit(address(_escrow));
        emit IntentEscrowNotices.Returned(orderHash, _alice, 1_000);
        _escrow.returnExpired(coin);
        _expect(PaymentNotices.NothingToMove.selector);
        _escrow.returnExpired(coin);
        require(_alice.balance == 1e9 && address(_escrow).balance == 0, "not all came back");
    }

    function test_cancellingHoldsEvenWhileTheTokenIsPaused() external {
        Order memory order = _order(address(_token));
        bytes32 orderHash = _escrow.hashOrder(order);
        vm.prank(_alice);
        _escrow.deposit(order, 1_000);
        _expect(abi.encodeWithSelector(PaymentNotices.NotPayer.selector, address(this)));
        _escrow.cancel(order);
        _token.setBehaviour(NastyToken.Behaviour.Paused);
        _cancelled(order, orderHash, 0);
        require(_state(order).cancelled && _state(order).deposited == 1_000, "the deposit is forgotten");
        vm.warp(START + 101);
        _expect(abi.encodeWithSelector(PaymentNotices.ReturnFailed.selector, _alice));
        _escrow.returnExpired(order);
        vm.warp(START);
        _token.setBehaviour(NastyToken.Behaviour.Honest);
        _cancelled(order, orderHash, 1_000);
        require(_token.balanceOf(_alice) == 1e9, "tokens did not come back");
        bytes memory cancelled = abi.encodeWithSelector(IntentEscrowNotices.OrderCancelled.selector);
        _expect(cancelled);
        vm.prank(_alice);
        _escrow.cancel(order);
        _refusedDeposit(order, 1_000, cancelled);
        _refused(order, 0, cancelled);
    }

    function _cancelled(Order memory order, bytes32 orderHash, uint256 refunded) private {
        vm.expectEmit(address(_escrow));
        emit IntentEscrowNotices.Cancelled(orderHash, _alice, refunded);
        vm.prank(_alice);
        _escrow.cancel(order);
    }

    function _permit(SaltedPermitToken token) private view returns (IntentEscrow.Permit memory) {
        bytes32 permitHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                _alice,
                address(_escrow),
                uint256(1_000),
                token.nonces(_alice),
                START
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(ALICE_KEY, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), permitHash)));
        return IntentEscrow.Permit(1_000, START, v, r, s);
    }

    function test_aPermitDepositsAndOnlyThePayerInPersonAuthorises() external {
        SaltedPermitToken token = new SaltedPermitToken();
        token.mint(_alice, 5_000);
        Order memory order = _order(address(token));
        IntentEscrow.Permit memory permit = _permit(token);
        _expect(PaymentNotices.InvalidSignature.selector);
        _escrow.fundWithPermit(order, permit, "");
        bytes memory signature = _signed(order);
        _escrow.fundWithPermit(order, permit, signature);
        require(_state(order).deposited == 1_000 && !_state(order).authorised, "a stranger authorised the order");
        _expect(SaltedPermitToken.PermitRefused.selector);
        _escrow.fundWithPermit(order, permit, signature);
        _expect(PaymentNotices.InvalidSignature.selector);
        _escrow.execute(order, 0, "");
        _escrow.execute(order, 0, signature);
        order.salt = "another";
        permit = _permit(token);
        vm.prank(_alice);
        _escrow.fundWithPermit(order, permit, "");
        require(_state(order).authorised, "the payer in person did not authorise");
        _escrow.execute(order, 0, "");
        require(token.balanceOf(BOB) == 2_000 && token.balanceOf(address(_escrow)) == 0, "wrong amounts");
    }

    function test_permitsThatAreNoneAreRefused() external {
        IntentEscrow.Permit memory permit = IntentEscrow.Permit(1_000, START, 27, 0, 0);
        _expect(abi.encodeWithSelector(IntentEscrowNotices.WrongToken.selector, address(0)));
        vm.prank(_alice);
        _escrow.fundWithPermit(_order(address(0)), permit, "");
        PhantomPermitToken phantom = new PhantomPermitToken();
        phantom.mint(_alice, 5_000);
        vm.prank(_alice);
        phantom.approve(address(_escrow), 5_000);
        Order memory order = _order(address(phantom));
        bytes memory signature = _signed(order);
        _expect(abi.encodeWithSelector(IntentEscrowNotices.PermitIgnored.selector, phantom));
        _escrow.fundWithPermit(order, permit, signature);
        require(phantom.balanceOf(_alice) == 5_000, "a standing allowance became a deposit");
    }

    function test_feesAreCappedAndGoToTheirReceiverAlone() external {
        _expect(abi.encodeWithSelector(PaymentNotices.InvalidFee.selector, address(0), 1));
        _escrow.setFee(address(0), 1);
        _expect(abi.encodeWithSelector(PaymentNotices.InvalidFee.selector, FEE, 101));
        _escrow.setFee(FEE, 101);
        _expect(abi.encodeWithSelector(PaymentNotices.InvalidFee.selector, address(0), 0));
        _escrow.withdrawFees(address(_token));
        _escrow.setFee(FEE, 100);
        _expect(PaymentNotices.NothingToMove.selector);
        _escrow.withdrawFees(address(_token));
        Order memory order = _order(address(_token));
        _escrow.execute(order, 0, _signed(order)); // one percent is 10, the payer allows 5
        order.salt = "from a deposit";
        order.maxFee = 50;
        vm.prank(_alice);
        _escrow.deposit(order, 1_010);
        _escrow.execute(order, 0, "");
        Order memory coin = _order(address(0));
        vm.prank(_alice);
        _escrow.fund{value: 1_005}(coin);
        _escrow.execute(coin, 0, "");
        require(_escrow.accruedFees(address(_token)) == 15 && _escrow.accruedFees(address(0)) == 5, "wrong fees");
        require(_token.balanceOf(_alice) == 1e9 - 2_015, "the payer was charged another amount");
        _token.setBehaviour(NastyToken.Behaviour.ReturnsFalse);
        _expect(abi.encodeWithSelector(PaymentNotices.ReturnFailed.selector, FEE));
        _escrow.withdrawFees(address(_token));
        _token.setBehaviour(NastyToken.Behaviour.ReturnsNothing);
        _escrow.withdrawFees(address(_token));
        _escrow.withdrawFees(address(0));
        require(_token.balanceOf(FEE) == 15 && FEE.balance == 5, "the fees did not arrive");
        require(_escrow.accruedFees(address(_token)) == 0 && address(_escrow).balance == 0, "fees are left");
    }

    function test_itemsFailAlone() external {
        HostileRecipient hostile = new HostileRecipient();
        hostile.configure(HostileRecipient.Behaviour.Revert, address(0), "");
        IntentEscrow.Execution[] memory items = new IntentEscrow.Execution[](4);
        items[0] = _item(_order(address(_token)));
        items[1] = _item(_order(address(0)));
        items[1].order.recipient = address(hostile);
        vm.prank(_alice);
        _escrow.fund{value: 1_000}(items[1].order);
        NastyToken other = _allowed(new NastyToken());
        other.setBehaviour(NastyToken.Behaviour.TakesFee);
        items[2] = _item(_order(address(other)));
        other = _allowed(new NastyToken());
        other.setBehaviour(NastyToken.Behaviour.RevertsHuge);
        items[3] = _item(_order(address(other)));
        _expect(PaymentNotices.InsufficientGas.selector);
        _escrow.executeMany{gas: 300_000}(items);
        vm.recordLogs();
        _escrow.executeMany(items);
        bytes[] memory reasons = _failures(vm.getRecordedLogs(), items);
        bytes memory refused = abi.encodeWithSelector(PaymentNotices.NativeTransferFailed.selector, hostile);
        require(keccak256(reasons[1]) == keccak256(refused), "another reason than the refusal");
        bytes memory changed = abi.encodeWithSelector(PaymentNotices.UnexpectedBalanceChange.selector, 1_000, 990);
        require(keccak256(reasons[2]) == keccak256(changed), "another reason than the token's fee");
        require(reasons[0].length == 0 && reasons[3].length == 256, "a reason is not bounded");
        require(_token.balanceOf(BOB) == 1_000 && _state(items[0].order).executed == 1, "the good item was not paid");
        require(address(_escrow).balance == 1_000 && _state(items[1].order).executed == 0, "a failed item is counted");
        _expect(PaymentNotices.InsufficientGas.selector);
        _escrow.execute{gas: 100_000}(items[1].order, 0, "");
    }

    function _item(Order memory order) private view returns (IntentEscrow.Execution memory) {
        return IntentEscrow.Execution(order, 0, _signed(order));
    }

    function _failures(Log[] memory logs, IntentEscrow.Execution[] memory items)
        private
        view
        returns (bytes[] memory reasons)
    {
        reasons = new bytes[](items.length);
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IntentEscrowNotices.ExecutionFailed.selector) continue;
            for (uint256 k = 0; k < items.length; ++k) {
                if (logs[i].topics[1] == _escrow.hashOrder(items[k].order)) {
                    reasons[k] = abi.decode(logs[i].data, (bytes));
                }
            }
        }
    }

    function test_onlyExecutorsExecuteAndOnlyWhileNotPaused() external {
        IntentEscrow.Execution[] memory items = new IntentEscrow.Execution[](1);
        items[0] = _item(_order(address(_token)));
        _expect(abi.encodeWithSelector(PaymentNotices.TooManyItems.selector, 256, 257));
        _escrow.executeMany(new IntentEscrow.Execution[](257));
        _expect(abi.encodeWithSelector(PaymentNotices.NotSelf.selector, address(this)));
        _escrow.executeItem(items[0]);
        _refusedToBob(_escrow.EXECUTOR_ROLE());
        _escrow.execute(items[0].order, 0, items[0].signature);
        _refusedToBob(_escrow.EXECUTOR_ROLE());
        _escrow.executeMany(items);
        _refusedToBob(_escrow.PAUSER_ROLE());
        _escrow.pause();
        _refusedToBob(bytes32(0));
        _escrow.setFee(BOB, 1);
        _escrow.pause();
        _expect(Pausable.EnforcedPause.selector);
        _escrow.executeMany(items);
        _expect(Pausable.EnforcedPause.selector);
        _escrow.execute(items[0].order, 0, items[0].signature);
        _refusedToBob(_escrow.PAUSER_ROLE());
        _escrow.unpause();
        _escrow.unpause();
        _escrow.executeMany(items);
        require(_token.balanceOf(BOB) == 1_000, "not paid after the pause");
    }

    function _refusedToBob(bytes32 role) private {
        _expect(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, BOB, role));
        vm.prank(BOB);
    }

    function test_withoutAnAllowanceNothingIsExecuted() external {
        vm.prank(_alice);
        _token.approve(address(_escrow), 999);
        _refused(
            _order(address(_token)),
            0,
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, _escrow, 999, 1_000)
        );
    }
}
