// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IntentEscrow} from "../../sources/IntentEscrow.sol";
import {Order} from "../../sources/Orders.sol";
import {NastyToken} from "../../sources/test/NastyTokens.sol";
import {Base} from "./Base.sol";

/// @notice Drives the escrow with signed token orders and funded native ones, and counts what should have happened.
contract EscrowHandler is Base {
    IntentEscrow public immutable escrow;
    NastyToken public immutable token;
    address public immutable alice = vm.addr(ALICE_KEY);
    address public constant BOB = address(0xB0B);
    uint256 public constant ORDERS = 4;
    Order[4] private _orders;
    uint256[4] public executed;
    uint256[4] public deposited;
    uint256 public fees;
    uint256 public nativeFees;
    bool public broken;

    constructor(IntentEscrow escrow_) {
        escrow = escrow_;
        token = new NastyToken();
        token.mint(alice, 1e24);
        vm.prank(alice);
        token.approve(address(escrow), type(uint256).max);
        vm.deal(alice, 1e24);
        for (uint256 i = 0; i < ORDERS; ++i) {
            _orders[i] = Order({
                payer: alice,
                recipient: BOB,
                token: i % 2 == 0 ? address(token) : address(0),
                amount: 1_000 * (i + 1),
                validAfter: uint64(START),
                validUntil: uint64(START + 10_000),
                maxGasPrice: 10,
                safetyBuffer: 0,
                minInterval: 100,
                maxExecutions: 5,
                maxFee: 7,
                salt: bytes32(i)
            });
        }
    }

    function order(uint256 index) public view returns (Order memory) {
        return _orders[index % ORDERS];
    }

    function deposit(uint256 index, uint256 amount) external {
        index %= ORDERS;
        Order memory chosen = _orders[index];
        amount = _within(amount, 1, 2_000);
        vm.prank(alice);
        if (index % 2 == 0) escrow.deposit(chosen, amount);
        else escrow.fund{value: amount}(chosen);
        deposited[index] += amount;
    }

    function execute(uint256 index, uint32 occurrence, uint256 gasPrice, bool signed) external {
        index %= ORDERS;
        Order memory chosen = _orders[index];
        occurrence = uint32(_within(occurrence, 0, 5));
        gasPrice = _within(gasPrice, 1, 11);
        vm.txGasPrice(gasPrice);
        bytes memory signature = signed ? _sign(ALICE_KEY, escrow.signingDigest(chosen)) : bytes("");
        uint256 before = escrow.accruedFees(chosen.token);
        uint256 held = deposited[index];
        escrow.execute(chosen, occurrence, signature);
        // reached only when it executed: every term must have held
        uint256 fee = escrow.accruedFees(chosen.token) - before;
        uint256 due = 1 + (block.timestamp - START) / 100;
        if (occurrence != executed[index] || occurrence >= 5 || occurrence >= due || gasPrice > 10) broken = true;
        if (block.timestamp < START || block.timestamp > START + 10_000 || fee > 7) broken = true;
        if (index % 2 == 0) fees += fee;
        else nativeFees += fee;
        if (held >= chosen.amount + fee) deposited[index] -= chosen.amount + fee;
        else if (index % 2 == 1 || !signed) broken = true;
        ++executed[index];
    }

    function cancel(uint256 index, bool byPayer) external {
        index %= ORDERS;
        if (index == 0) return; // one order stays open for executions
        if (byPayer) vm.prank(alice);
        escrow.cancel(_orders[index]);
        if (!byPayer) broken = true;
        deposited[index] = 0;
    }

    function returnExpired(uint256 index) external {
        index %= ORDERS;
        escrow.returnExpired(_orders[index]);
        if (block.timestamp <= START + 10_000) broken = true;
        deposited[index] = 0;
    }

    function wait(uint256 elapsed) external {
        vm.warp(block.timestamp + _within(elapsed, 1, 400));
    }

    function setFee(uint256 basisPoints) external {
        escrow.setFee(address(0xFEE), _within(basisPoints, 0, 100));
    }

    function withdrawFees() external {
        escrow.withdrawFees(address(token));
        fees = 0;
    }
}

/// @notice What must hold after any sequence of calls.
contract EscrowInvariants is Base {
    IntentEscrow private _escrow;
    EscrowHandler private _handler;

    function setUp() external {
        vm.warp(START);
        _escrow = new IntentEscrow(address(this));
        _handler = new EscrowHandler(_escrow);
        _escrow.grantRole(_escrow.EXECUTOR_ROLE(), address(_handler));
        _escrow.grantRole(bytes32(0), address(_handler));
    }

    /// @dev One caller without a part of its own: otherwise a contract under test could be taken, and charged for gas.
    function targetSenders() external pure returns (address[] memory senders) {
        senders = new address[](1);
        senders[0] = address(0xCA11E4);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function invariant_onlySignedTermsExecute() external view {
        require(!_handler.broken(), "a term was not enforced");
    }

    function invariant_eachOccurrenceOnce() external view {
        for (uint256 i = 0; i < _handler.ORDERS(); ++i) {
            IntentEscrow.OrderState memory state = _escrow.orderState(_escrow.hashOrder(_handler.order(i)));
            require(state.executed == _handler.executed(i) && state.executed <= 5, "executions differ");
            require(state.deposited == _handler.deposited(i), "deposits differ");
        }
    }

    function invariant_moneyIsConserved() external view {
        uint256 tokens = _handler.fees();
        uint256 coins = _handler.nativeFees();
        uint256 paidTokens;
        uint256 paidCoins;
        for (uint256 i = 0; i < _handler.ORDERS(); ++i) {
            if (i % 2 == 0) tokens += _handler.deposited(i);
            else coins += _handler.deposited(i);
            if (i % 2 == 0) paidTokens += _handler.executed(i) * _handler.order(i).amount;
            else paidCoins += _handler.executed(i) * _handler.order(i).amount;
        }
        require(_handler.token().balanceOf(address(_escrow)) == tokens, "tokens held differ");
        require(address(_escrow).balance == coins, "coins held differ");
        require(_handler.token().balanceOf(_handler.BOB()) == paidTokens, "tokens paid differ");
        require(_handler.BOB().balance == paidCoins, "coins paid differ");
    }
}
