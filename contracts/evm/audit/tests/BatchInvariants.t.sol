// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchPayout} from "../../sources/BatchPayout.sol";
import {Manifest, TokenTotal} from "../../sources/Manifests.sol";
import {PayoutTree, Row} from "../../sources/PayoutTree.sol";
import {NastyToken} from "../../sources/test/NastyTokens.sol";
import {Base} from "./Base.sol";

/// @notice Drives one batch of four rows through every entry point, with rows, proofs and tokens that are often wrong.
contract BatchHandler is Base {
    BatchPayout public immutable payout;
    NastyToken public immutable token;
    address public immutable alice = vm.addr(ALICE_KEY);
    uint256[4] public timesPaid;
    uint256 public fees;
    uint256 public returned;
    bool public funded;
    bool public cancelled;
    bool public broken;
    Row[4] private _rows;
    bytes32[4] private _leaves;
    bytes32 private _root;

    constructor(BatchPayout payout_) {
        payout = payout_;
        token = new NastyToken();
        token.mint(alice, 1e12);
        vm.prank(alice);
        token.approve(address(payout), type(uint256).max);
        for (uint256 i = 0; i < 4; ++i) {
            _rows[i] = Row(address(uint160(0x1000 + i)), address(token), 1_000 * (i + 1));
            _leaves[i] = keccak256(
                bytes.concat(keccak256(abi.encode(i, _rows[i].recipient, _rows[i].token, _rows[i].amount)))
            );
        }
        _root = _node(_node(_leaves[0], _leaves[1]), _node(_leaves[2], _leaves[3]));
    }

    function manifest() public view returns (Manifest memory made) {
        TokenTotal[] memory totals = new TokenTotal[](1);
        totals[0] = TokenTotal(address(token), 10_000, 60);
        made = Manifest(alice, _root, 4, uint64(START), uint64(START + 2_000), 10, bytes32(0), totals);
    }

    function row(uint256 index) external view returns (Row memory) {
        return _rows[index];
    }

    function fund(bool signed) external {
        bytes memory signature = signed ? _sign(ALICE_KEY, payout.signingDigest(manifest())) : bytes("");
        payout.fund(manifest(), new BatchPayout.TotalPermit[](0), signature);
        if (!signed || cancelled || funded) broken = true;
        funded = true;
    }

    function pay(uint256 index, uint256 height, uint256 wrongAmount, uint256 gasPrice) external {
        height %= 3;
        index = (index % (4 >> height)) << height;
        uint256 width = 1 << height;
        Row[] memory rows = new Row[](width);
        for (uint256 i = 0; i < width; ++i) {
            rows[i] = _rows[index + i];
        }
        if (wrongAmount % 4 == 0) rows[0].amount += wrongAmount;
        bytes32[] memory proof = new bytes32[](2 - height);
        if (height == 0) proof[0] = _leaves[index ^ 1];
        if (height < 2) {
            proof[1 - height] = index < 2 ? _node(_leaves[2], _leaves[3]) : _node(_leaves[0], _leaves[1]);
        }
        gasPrice = _within(gasPrice, 1, 11);
        vm.txGasPrice(gasPrice);
        uint256 before = payout.accruedFees(address(token));
        bool[4] memory wasPaid;
        for (uint32 i = 0; i < 4; ++i) {
            wasPaid[i] = payout.isPaid(_hash(), i);
        }
        payout.pay(manifest(), uint32(index), rows, proof);
        // reached only when the run went through: every term must have held
        if (wrongAmount % 4 == 0 && wrongAmount != 0) broken = true;
        if (!funded || cancelled || gasPrice > 10 || block.timestamp > START + 2_000) broken = true;
        fees += payout.accruedFees(address(token)) - before;
        for (uint32 i = 0; i < 4; ++i) {
            bool isPaid = payout.isPaid(_hash(), i);
            if (wasPaid[i] && !isPaid) broken = true;
            if (!wasPaid[i] && isPaid) {
                ++timesPaid[i];
                if (i < index || i >= index + width) broken = true;
            }
        }
    }

    function cancel(uint256 seldom, bool byPayer) external {
        if (seldom % 16 != 0) return;
        uint256 before = token.balanceOf(alice);
        if (byPayer) vm.prank(alice);
        payout.cancel(manifest());
        if (!byPayer) broken = true;
        cancelled = true;
        returned += token.balanceOf(alice) - before;
    }

    function returnUnspent() external {
        uint256 before = token.balanceOf(alice);
        payout.returnUnspent(manifest());
        if (block.timestamp <= START + 2_000 && payout.batchState(_hash()).paid < 4) broken = true;
        returned += token.balanceOf(alice) - before;
    }

    function blockRecipient(uint256 index, bool value) external {
        token.setBlocked(_rows[index % 4].recipient, value);
    }

    function misbehave(uint256 behaviour) external {
        uint8[6] memory behaviours = [0, 0, 0, 1, 5, 7];
        token.setBehaviour(NastyToken.Behaviour(behaviours[behaviour % 6]));
    }

    function setFee(uint256 basisPoints) external {
        payout.setFee(address(0xFEE), _within(basisPoints, 0, 100));
    }

    function wait(uint256 elapsed) external {
        vm.warp(block.timestamp + _within(elapsed, 1, 90));
    }

    function _hash() private view returns (bytes32) {
        return payout.hashManifest(manifest());
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(left, right));
    }
}

/// @notice What must hold after any sequence of calls.
contract BatchInvariants is Base {
    BatchPayout private _payout;
    BatchHandler private _handler;

    function setUp() external {
        vm.warp(START);
        _payout = new BatchPayout(address(this));
        _handler = new BatchHandler(_payout);
        _payout.grantRole(_payout.EXECUTOR_ROLE(), address(_handler));
        _payout.grantRole(bytes32(0), address(_handler));
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

    function invariant_onlySignedRowsArePaid() external view {
        require(!_handler.broken(), "a term was not enforced");
    }

    function invariant_eachRowOnceAndExactly() external view {
        bytes32 batch = _payout.hashManifest(_handler.manifest());
        uint256 paid = 0;
        for (uint32 i = 0; i < 4; ++i) {
            uint256 times = _handler.timesPaid(i);
            Row memory row = _handler.row(i);
            require(times <= 1 && (times == 1) == _payout.isPaid(batch, i), "a bit is wrong");
            require(_handler.token().balanceOf(row.recipient) == times * row.amount, "a recipient has another amount");
            paid += times;
        }
        require(_payout.batchState(batch).paid == paid, "the count is wrong");
        require(_payout.paidBits(batch, 0) >> 4 == 0 && _payout.paidBits(batch, 1) == 0, "a bit beyond the rows");
    }

    function invariant_moneyIsConserved() external view {
        bytes32 batch = _payout.hashManifest(_handler.manifest());
        BatchPayout.Remainder memory left = _payout.remainderOf(batch, address(_handler.token()));
        uint256 paid = 0;
        for (uint256 i = 0; i < 4; ++i) {
            paid += _handler.timesPaid(i) * _handler.row(i).amount;
        }
        uint256 held = uint256(left.amount) + left.fee;
        require(held + paid + _handler.fees() + _handler.returned() == (_handler.funded() ? 10_060 : 0), "lost");
        require(_handler.token().balanceOf(address(_payout)) == held + _handler.fees(), "held differs");
    }
}

/// @notice Properties of the tree over any input; halmos proves them for all of it.
contract TreeProperties is Base {
    function rootOf(uint256 rowCount, uint256 firstIndex, Row[] calldata rows, bytes32[] calldata proof)
        external
        pure
        returns (bytes32)
    {
        return PayoutTree.rootOf(rowCount, firstIndex, rows, proof);
    }

    /// @notice A row proven at its index of two has exactly the root of both leaves in their order.
    function check_positionIsProven(uint256 index, address recipient, address token, uint256 amount, bytes32 sibling)
        external
        view
    {
        if (index > 1) return;
        Row[] memory rows = new Row[](1);
        rows[0] = Row(recipient, token, amount);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = sibling;
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(index, recipient, token, amount))));
        bytes32 expected = index == 0
            ? keccak256(abi.encodePacked(leaf, sibling))
            : keccak256(abi.encodePacked(sibling, leaf));
        assert(this.rootOf(2, index, rows, proof) == expected);
    }

    /// @notice The height of a tree is the least that has room for its rows.
    function check_levelsAreTight(uint256 rows) external pure {
        if (rows == 0 || rows > 256) return;
        uint256 height = PayoutTree.levels(rows);
        assert(1 << height >= rows);
        assert(height == 0 || 1 << (height - 1) < rows);
    }

    function testFuzz_positionIsProven(uint256 index, address recipient, address token, uint256 amount, bytes32 sibling)
        external
        view
    {
        this.check_positionIsProven(index % 2, recipient, token, amount, sibling);
    }

    function testFuzz_levelsAreTight(uint256 rows) external view {
        this.check_levelsAreTight(1 + rows % 256);
    }
}
