// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchPayout} from "../../sources/BatchPayout.sol";
import {Manifest, TokenTotal} from "../../sources/Manifests.sol";
import {Row} from "../../sources/PayoutTree.sol";
import {NastyToken, SaltedPermitToken} from "../../sources/test/NastyTokens.sol";
import {Base} from "./Base.sol";

/// @notice Every way through batch payouts once, refusals included.
contract BatchPathsTest is Base {
    BatchPayout private _payout;
    NastyToken private _token;
    address private immutable _alice = vm.addr(ALICE_KEY);
    BatchPayout.TotalPermit[] private _none;
    bytes32[] private _noProof;

    function setUp() external {
        vm.warp(START);
        _payout = new BatchPayout(address(this));
        _payout.grantRole(_payout.EXECUTOR_ROLE(), address(this));
        _token = new NastyToken();
        _token.mint(_alice, 1e9);
        vm.prank(_alice);
        _token.approve(address(_payout), type(uint256).max);
        vm.deal(_alice, 1e9);
    }

    function _rows(address token) private pure returns (Row[] memory rows) {
        rows = new Row[](3);
        for (uint256 i = 0; i < 3; ++i) {
            rows[i] = Row(address(uint160(0x1000 + i)), token, 100);
        }
    }

    function _manifest(Row[] memory rows) private view returns (Manifest memory manifest) {
        TokenTotal[] memory totals = new TokenTotal[](1);
        totals[0] = TokenTotal(rows[0].token, 300, 9);
        manifest =
            Manifest(_alice, _root(rows), 3, uint64(START), uint64(START + 100), 10, bytes32(rows.length), totals);
    }

    function _root(Row[] memory rows) private pure returns (bytes32) {
        return _node(_node(_leaf(rows, 0), _leaf(rows, 1)), _node(_leaf(rows, 2), 0));
    }

    function _leaf(Row[] memory rows, uint256 i) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(i, rows[i].recipient, rows[i].token, rows[i].amount))));
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(left, right));
    }

    function _refusedFunding(Manifest memory manifest) private {
        vm.prank(manifest.payer);
        vm.expectRevert();
        _payout.fund(manifest, _none, "");
    }

    function test_malformedManifestsAreRefused() external {
        Manifest memory manifest = _manifest(_rows(address(_token)));
        manifest.payer = address(0);
        _refusedFunding(manifest);
        manifest.payer = _alice;
        manifest.rows = 0;
        _refusedFunding(manifest);
        manifest.rows = 3;
        manifest.validUntil = 1;
        _refusedFunding(manifest);
        manifest.validUntil = uint64(START + 100);
        manifest.totals = new TokenTotal[](0);
        _refusedFunding(manifest);
        manifest.totals = new TokenTotal[](1);
        _refusedFunding(manifest);
        manifest.totals[0] = TokenTotal(address(_payout), 1, 0);
        _refusedFunding(manifest);
    }

    function test_fundingOnceAndByWhom() external {
        Manifest memory coin = _manifest(_rows(address(0)));
        _refusedFunding(coin); // no value
        vm.expectRevert();
        _payout.fund(coin, _none, "");
        Manifest memory manifest = _manifest(_rows(address(_token)));
        vm.expectRevert();
        _payout.fund(manifest, _none, "");
        bytes memory signature = _sign(ALICE_KEY, _payout.signingDigest(manifest));
        vm.warp(START - 1);
        vm.expectRevert();
        _payout.fund(manifest, _none, signature);
        vm.warp(START + 101);
        vm.expectRevert();
        _payout.fund(manifest, _none, signature);
        vm.warp(START);
        BatchPayout.TotalPermit[] memory permits = new BatchPayout.TotalPermit[](1);
        permits[0] = BatchPayout.TotalPermit(0, START, 27, 0, 0); // useless, and passed over
        _payout.fund(manifest, permits, signature);
        vm.expectRevert();
        _payout.fund(manifest, _none, signature);
        SaltedPermitToken token = new SaltedPermitToken();
        _refusedFunding(_manifest(_rows(address(token))));
    }

    function test_paymentsRetriesAndTheWayOut() external {
        Row[] memory rows = _rows(address(_token));
        Manifest memory manifest = _manifest(rows);
        vm.expectRevert();
        _payout.pay(manifest, 0, rows, _noProof);
        vm.prank(_alice);
        _payout.fund(manifest, _none, "");
        _payout.setFee(address(0xFEE), 100);
        _refusedRuns(manifest, rows);
        _token.setBlocked(rows[1].recipient, true);
        _payout.pay(manifest, 0, rows, _noProof);
        bytes32 batch = _payout.hashManifest(manifest);
        require(_payout.paidBits(batch, 0) == 5 && _payout.batchState(batch).paid == 2, "wrong rows were paid");
        require(_payout.remainderOf(batch, address(_token)).amount == 100, "wrong remainder");
        vm.expectRevert();
        _payout.returnUnspent(manifest);
        _token.setBlocked(rows[1].recipient, false);
        Row[] memory one = new Row[](1);
        one[0] = rows[1];
        bytes32[] memory proof = new bytes32[](2);
        proof[0] = _leaf(rows, 0);
        proof[1] = _node(_leaf(rows, 2), 0);
        _payout.pay(manifest, 1, one, proof);
        vm.expectRevert();
        _payout.pay(manifest, 1, one, proof);
        _payout.returnUnspent(manifest);
        vm.expectRevert();
        _payout.returnUnspent(manifest);
        require(_token.balanceOf(_alice) == 1e9 - 303, "another amount came back");
    }

    function _refusedRuns(Manifest memory manifest, Row[] memory rows) private {
        vm.txGasPrice(11);
        vm.expectRevert();
        _payout.pay(manifest, 0, rows, _noProof);
        vm.txGasPrice(1);
        vm.warp(START - 1);
        vm.expectRevert();
        _payout.pay(manifest, 0, rows, _noProof);
        vm.warp(START + 101);
        vm.expectRevert();
        _payout.pay(manifest, 0, rows, _noProof);
        vm.warp(START);
        vm.expectRevert();
        _payout.pay(manifest, 1, rows, _noProof);
        vm.expectRevert();
        _payout.pay(manifest, 0, rows, new bytes32[](1));
        vm.expectRevert();
        _payout.pay(manifest, 0, new Row[](257), _noProof);
        vm.expectRevert();
        _payout.pay{gas: 250_000}(manifest, 0, rows, _noProof);
        vm.expectRevert();
        _payout.payRow(bytes32(0), 0, rows[0]);
        rows[0].amount += 1;
        vm.expectRevert();
        _payout.pay(manifest, 0, rows, _noProof);
        rows[0].amount -= 1;
    }

    function test_rowsThatCannotBePaidFailAlone() external {
        Row[] memory rows = _rows(address(0));
        rows[0].amount = 0;
        rows[1].amount = 301;
        Manifest memory manifest = _manifest(rows);
        vm.prank(_alice);
        _payout.fund{value: 309}(manifest, _none, "");
        _payout.pay(manifest, 0, rows, _noProof);
        require(rows[2].recipient.balance == 100, "the good row was not paid");
        vm.expectRevert();
        _payout.cancel(manifest);
        vm.prank(_alice);
        _payout.cancel(manifest);
        require(_alice.balance == 1e9 - 100, "not all came back");
        vm.prank(_alice);
        vm.expectRevert();
        _payout.cancel(manifest);
        vm.expectRevert();
        _payout.pay(manifest, 0, rows, _noProof);
        _refusedFunding(manifest);
    }

    function test_aTokenThatCannotBeReturnedStays() external {
        Manifest memory manifest = _manifest(_rows(address(_token)));
        vm.prank(_alice);
        _payout.fund(manifest, _none, "");
        _token.setBehaviour(NastyToken.Behaviour.Paused);
        vm.prank(_alice);
        _payout.cancel(manifest);
        _token.setBehaviour(NastyToken.Behaviour.Honest);
        vm.prank(_alice);
        _payout.cancel(manifest);
        require(_token.balanceOf(_alice) == 1e9, "tokens did not come back");
    }
}
