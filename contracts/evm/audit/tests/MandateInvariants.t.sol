// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Mandate} from "../../sources/Mandates.sol";
import {SpendingMandate} from "../../sources/SpendingMandate.sol";
import {NastyToken} from "../../sources/test/NastyTokens.sol";
import {Base} from "./Base.sol";

/// @notice Is the delegate of two mandates and tries whatever it can.
contract MandateHandler is Base {
    SpendingMandate public immutable mandates;
    NastyToken public immutable token;
    address public immutable alice = vm.addr(ALICE_KEY);
    address public constant LISTED = address(0xB0B);
    address public constant STRANGER = address(0x57A);
    uint256[2] public taken;
    mapping(uint256 mandate => mapping(uint256 period => uint256)) public takenInPeriod;
    mapping(uint256 mandate => mapping(uint256 period => uint256)) public unlistedInPeriod;
    mapping(uint256 mandate => mapping(uint256 id => bool)) private _made;
    bool[2] public revoked;
    bool public broken;

    constructor(SpendingMandate mandates_) {
        mandates = mandates_;
        token = new NastyToken();
        token.mint(alice, 1e12);
        vm.prank(alice);
        token.approve(address(mandates), type(uint256).max);
        vm.deal(alice, 1e12);
        vm.prank(alice);
        mandates.prepay{value: 1e6}();
    }

    function mandate(uint256 index) public view returns (Mandate memory made) {
        made.payer = alice;
        made.delegate = address(this);
        made.token = index % 2 == 0 ? address(token) : address(0);
        made.perPayment = 100;
        made.perPeriod = 250;
        made.total = 2_000;
        made.period = 60;
        made.validAfter = uint64(START);
        made.validUntil = uint64(START + 5_000);
        made.maxGasPrice = 10;
        made.maxFee = 3;
        made.recipients = keccak256(bytes.concat(keccak256(abi.encode(LISTED))));
        made.anyRecipient = true;
        made.unlistedPerPayment = 20;
        made.unlistedPerPeriod = 30;
    }

    function spend(uint256 index, uint256 id, uint256 amount, bool listed, bool signed, uint256 gasPrice) external {
        index %= 2;
        id %= 64;
        amount = _within(amount, 0, 120);
        gasPrice = _within(gasPrice, 1, 11);
        vm.txGasPrice(gasPrice);
        Mandate memory chosen = mandate(index);
        bytes memory signature = signed ? _sign(ALICE_KEY, mandates.signingDigest(chosen)) : bytes("");
        uint256 fees = mandates.accruedFees(chosen.token);
        address recipient = listed ? LISTED : STRANGER;
        mandates.spend(chosen, SpendingMandate.Payment(bytes32(id), recipient, amount), new bytes32[](0), signature);
        // reached only when it was paid: every term must have held
        uint256 charge = amount + mandates.accruedFees(chosen.token) - fees;
        uint256 period = (block.timestamp - START) / 60;
        if (!signed || revoked[index] || _made[index][id] || gasPrice > 10 || amount == 0) broken = true;
        if (charge > (listed ? 100 : 20) || block.timestamp > START + 5_000) broken = true;
        _made[index][id] = true;
        taken[index] += charge;
        takenInPeriod[index][period] += charge;
        if (!listed) unlistedInPeriod[index][period] += charge;
        if (taken[index] > 2_000 || takenInPeriod[index][period] > 250) broken = true;
        if (unlistedInPeriod[index][period] > 30) broken = true;
    }

    function revoke(uint256 index, uint256 seldom, bool byPayer) external {
        if (seldom % 16 != 0) return;
        index %= 2;
        if (byPayer) vm.prank(alice);
        mandates.revoke(mandate(index));
        if (!byPayer) broken = true;
        revoked[index] = true;
    }

    function authoriseAsDelegate(uint256 index) external {
        mandates.authorise(mandate(index));
        broken = true; // only the payer may
    }

    function withdrawAsDelegate(uint256 amount) external {
        mandates.withdraw(amount);
        broken = true; // nothing was prepaid by the delegate
    }

    function setFee(uint256 basisPoints) external {
        mandates.setFee(address(0xFEE), _within(basisPoints, 0, 100));
    }

    function wait(uint256 elapsed) external {
        vm.warp(block.timestamp + _within(elapsed, 1, 120));
    }
}

/// @notice What must hold after any sequence of calls.
contract MandateInvariants is Base {
    SpendingMandate private _mandates;
    MandateHandler private _handler;

    function setUp() external {
        vm.warp(START);
        _mandates = new SpendingMandate(address(this));
        _handler = new MandateHandler(_mandates);
        _mandates.grantRole(bytes32(0), address(_handler));
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

    function invariant_limitsHold() external view {
        require(!_handler.broken(), "a limit was not enforced");
        for (uint256 i = 0; i < 2; ++i) {
            SpendingMandate.MandateState memory state = _mandates.mandateState(_mandates.hashMandate(_handler.mandate(i)));
            require(state.spent == _handler.taken(i) && state.spent <= 2_000, "the count is wrong");
        }
    }

    function invariant_nothingElseLeaves() external view {
        require(_handler.token().balanceOf(_handler.alice()) == 1e12 - _handler.taken(0), "tokens left otherwise");
        require(_mandates.prepaid(_handler.alice()) == 1e6 - _handler.taken(1), "coin left otherwise");
        uint256 held = _mandates.prepaid(_handler.alice()) + _mandates.accruedFees(address(0));
        require(address(_mandates).balance == held, "coin held differs");
    }
}
