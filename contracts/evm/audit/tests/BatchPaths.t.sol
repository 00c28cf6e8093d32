// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {BatchPayout} from "../../sources/BatchPayout.sol";
import {BatchPayoutNotices} from "../../sources/BatchPayoutNotices.sol";
import {Manifest, Manifests, TokenTotal} from "../../sources/Manifests.sol";
import {PaymentNotices} from "../../sources/PaymentNotices.sol";
import {PayoutTree, Row} from "../../sources/PayoutTree.sol";
import {NastyToken, SaltedPermitToken} from "../../sources/test/NastyTokens.sol";
import {Base} from "./Base.sol";

/// @notice Every way through batch payouts once, refusals with their exact reason included.
contract BatchPathsTest is Base {
    BatchPayout private _payout;
    NastyToken private _token;
    address private immutable _alice = vm.addr(ALICE_KEY);
    address private constant BOB = address(0xB0B);
    BatchPayout.TotalPermit[] private _none;
    bytes32[] private _noProof;

    function setUp() external {
        vm.warp(START);
        _payout = new BatchPayout(address(this));
        _payout.grantRole(_payout.EXECUTOR_ROLE(), address(this));
        _token = _allowed(new NastyToken());
        vm.deal(_alice, 1e9);
    }

    function _allowed(NastyToken token) private returns (NastyToken) {
        token.mint(_alice, 1e9);
        vm.prank(_alice);
        token.approve(address(_payout), type(uint256).max);
        return token;
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

    /// @dev A run of one row with its proof.
    function _single(Row[] memory rows, uint256 index)
        private
        pure
        returns (Row[] memory run, bytes32[] memory proof)
    {
        run = new Row[](1);
        run[0] = rows[index];
        proof = new bytes32[](2);
        proof[0] = index == 2 ? bytes32(0) : _leaf(rows, 1 - index);
        proof[1] = index == 2 ? _node(_leaf(rows, 0), _leaf(rows, 1)) : _node(_leaf(rows, 2), 0);
    }

    function _fund(Manifest memory manifest, uint256 value) private {
        vm.prank(_alice);
        _payout.fund{value: value}(manifest, _none, "");
    }

    function _refusedFunding(Manifest memory manifest, bytes memory reason) private {
        _expect(reason);
        vm.prank(manifest.payer);
        _payout.fund(manifest, _none, "");
    }

    function _malformed(Manifest memory manifest, bytes32 term) private {
        _refusedFunding(manifest, abi.encodeWithSelector(Manifests.InvalidManifest.selector, term));
    }

    function _refusedRun(
        Manifest memory manifest,
        uint32 firstIndex,
        Row[] memory rows,
        bytes32[] memory proof,
        bytes memory reason
    ) private {
        _expect(reason);
        _payout.pay(manifest, firstIndex, rows, proof);
    }

    function test_malformedManifestsAreRefused() external {
        Manifest memory manifest = _manifest(_rows(address(_token)));
        manifest.payer = address(0);
        _malformed(manifest, "payer");
        manifest.payer = address(_payout);
        _malformed(manifest, "payer");
        manifest.payer = _alice;
        manifest.rows = 0;
        _malformed(manifest, "rows");
        manifest.rows = (1 << 20) + 1;
        _malformed(manifest, "rows");
        manifest.rows = 3;
        manifest.validUntil = 1;
        _malformed(manifest, "validUntil");
        manifest.validUntil = uint64(START + 100);
        manifest.totals = new TokenTotal[](0);
        _malformed(manifest, "totals");
        manifest.totals = new TokenTotal[](17);
        _malformed(manifest, "totals");
        manifest.totals = new TokenTotal[](1);
        _malformed(manifest, "amount");
        manifest.totals[0] = TokenTotal(address(_payout), 1, 0);
        _malformed(manifest, "token");
        manifest.totals = new TokenTotal[](2);
        manifest.totals[0] = manifest.totals[1] = TokenTotal(address(_token), 1, 0); // one token twice
        _malformed(manifest, "token");
        manifest.totals[1] = TokenTotal(address(0), 1, 0); // out of order
        _malformed(manifest, "token");
    }

    function test_coinIsFundedByItsPayerAloneAndExactly() external {
        Manifest memory coin = _manifest(_rows(address(0)));
        bytes memory signature = _sign(ALICE_KEY, _payout.signingDigest(coin));
        _refusedFunding(coin, abi.encodeWithSelector(BatchPayoutNotices.WrongValue.selector, 309, 0));
        vm.deal(address(this), 309);
        _expect(abi.encodeWithSelector(PaymentNotices.NotPayer.selector, address(this)));
        _payout.fund{value: 309}(coin, _none, signature);
        _fund(coin, 309);
        BatchPayout.Remainder memory left = _payout.remainderOf(_payout.hashManifest(coin), address(0));
        require(left.amount == 300 && left.fee == 9 && address(_payout).balance == 309, "another deposit");
    }

    function test_tokensAreFundedOnceByAnybodyWithTheSignature() external {
        Manifest memory manifest = _manifest(_rows(address(_token)));
        bytes32 batch = _payout.hashManifest(manifest);
        bytes memory signature = _sign(ALICE_KEY, _payout.signingDigest(manifest));
        _expect(PaymentNotices.InvalidSignature.selector);
        _payout.fund(manifest, _none, "");
        vm.warp(START - 1);
        _expect(abi.encodeWithSelector(BatchPayoutNotices.BatchNotYetValid.selector, START));
        _payout.fund(manifest, _none, signature);
        vm.warp(START + 101);
        _expect(abi.encodeWithSelector(BatchPayoutNotices.BatchExpired.selector, START + 100));
        _payout.fund(manifest, _none, signature);
        vm.warp(START);
        vm.deal(address(this), 1);
        _expect(abi.encodeWithSelector(BatchPayoutNotices.WrongValue.selector, 0, 1));
        _payout.fund{value: 1}(manifest, _none, signature);
        require(!_payout.batchState(batch).funded, "a refused call funded");
        vm.expectEmit(address(_payout));
        emit BatchPayoutNotices.BatchFunded(batch, _alice, manifest.root, 3);
        _payout.fund(manifest, _none, signature);
        _expect(BatchPayoutNotices.BatchIsFunded.selector);
        _payout.fund(manifest, _none, signature);
        require(_payout.batchState(batch).funded && _token.balanceOf(_alice) == 1e9 - 309, "another deposit");
    }

    function test_permitsAreTriedAndTheAllowanceDecides() external {
        SaltedPermitToken token = new SaltedPermitToken();
        token.mint(_alice, 309);
        Manifest memory manifest = _manifest(_rows(address(token)));
        bytes memory signature = _sign(ALICE_KEY, _payout.signingDigest(manifest));
        BatchPayout.TotalPermit[] memory permits = new BatchPayout.TotalPermit[](1);
        permits[0] = BatchPayout.TotalPermit(0, START, 27, 0, 0);
        _expect(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, _payout, 0, 309));
        _payout.fund(manifest, permits, signature);
        bytes32 permitHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                _alice,
                address(_payout),
                uint256(309),
                uint256(0),
                START
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(ALICE_KEY, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), permitHash)));
        permits[0] = BatchPayout.TotalPermit(0, START, v, r, s);
        token.permit(_alice, address(_payout), 309, START, v, r, s); // somebody was faster
        _payout.fund(manifest, permits, signature);
        require(token.balanceOf(address(_payout)) == 309, "the totals were not taken");
    }

    function test_paymentsRetriesAndTheWayOut() external {
        Row[] memory rows = _rows(address(_token));
        Manifest memory manifest = _manifest(rows);
        bytes32 batch = _payout.hashManifest(manifest);
        _refusedRun(manifest, 0, rows, _noProof, abi.encodeWithSelector(BatchPayoutNotices.BatchNotFunded.selector));
        _fund(manifest, 0);
        _payout.setFee(address(0xFEE), 100);
        _token.setBlocked(rows[1].recipient, true);
        vm.expectEmit(address(_payout));
        emit BatchPayoutNotices.RowFailed(
            batch, 1, abi.encodeWithSelector(NastyToken.AccountBlocked.selector, rows[1].recipient)
        );
        _payout.pay(manifest, 0, rows, _noProof);
        require(_payout.paidBits(batch, 0) == 5 && _payout.batchState(batch).paid == 2, "wrong rows were paid");
        BatchPayout.Remainder memory left = _payout.remainderOf(batch, address(_token));
        require(left.amount == 100 && left.fee == 7, "wrong remainder");
        _expect(abi.encodeWithSelector(BatchPayoutNotices.BatchStillOpen.selector, START + 100));
        _payout.returnUnspent(manifest);
        _payout.pay(manifest, 0, rows, _noProof); // fails again, and pays nobody twice
        require(_token.balanceOf(rows[0].recipient) == 100 && _payout.batchState(batch).paid == 2, "paid twice");
        _token.setBlocked(rows[1].recipient, false);
        (Row[] memory run, bytes32[] memory proof) = _single(rows, 1);
        _payout.pay(manifest, 1, run, proof);
        require(_payout.isPaid(batch, 1), "the retried row is not paid");
        _refusedRun(manifest, 1, run, proof, abi.encodeWithSelector(BatchPayoutNotices.NothingToPay.selector));
        vm.expectEmit(address(_payout));
        emit BatchPayoutNotices.BatchReturned(batch, _alice, address(_token), 6);
        _payout.returnUnspent(manifest);
        _expect(PaymentNotices.NothingToMove.selector);
        _payout.returnUnspent(manifest);
        require(_token.balanceOf(_alice) == 1e9 - 303, "another amount came back");
        require(_payout.accruedFees(address(_token)) == 3, "another fee was taken");
    }

    function test_everyRowCanBeProvenAlone() external {
        Row[] memory rows = _rows(address(_token));
        Manifest memory manifest = _manifest(rows);
        _fund(manifest, 0);
        for (uint32 i = 0; i < 3; ++i) {
            (Row[] memory run, bytes32[] memory proof) = _single(rows, i);
            bytes memory invalid = abi.encodeWithSelector(BatchPayoutNotices.InvalidProof.selector);
            _refusedRun(manifest, (i + 1) % 3, run, proof, invalid);
            _payout.pay(manifest, i, run, proof);
            require(_token.balanceOf(rows[i].recipient) == 100, "the row was not paid");
        }
        require(_payout.batchState(_payout.hashManifest(manifest)).paid == 3, "not every row is counted");
    }

    function test_runsOutsideTheTermsAreRefused() external {
        Row[] memory rows = _rows(address(_token));
        Manifest memory manifest = _manifest(rows);
        _fund(manifest, 0);
        vm.txGasPrice(11);
        bytes memory reason = abi.encodeWithSelector(PaymentNotices.GasPriceAboveLimit.selector, 11, 10);
        _refusedRun(manifest, 0, rows, _noProof, reason);
        vm.txGasPrice(1);
        vm.warp(START - 1);
        reason = abi.encodeWithSelector(BatchPayoutNotices.BatchNotYetValid.selector, START);
        _refusedRun(manifest, 0, rows, _noProof, reason);
        vm.warp(START + 101);
        reason = abi.encodeWithSelector(BatchPayoutNotices.BatchExpired.selector, START + 100);
        _refusedRun(manifest, 0, rows, _noProof, reason);
        vm.warp(START);
        reason = abi.encodeWithSelector(PaymentNotices.TooManyItems.selector, 256, 257);
        _refusedRun(manifest, 0, new Row[](257), _noProof, reason);
        _expect(PaymentNotices.InsufficientGas.selector);
        _payout.pay{gas: 250_000}(manifest, 0, rows, _noProof);
        _expect(abi.encodeWithSelector(PaymentNotices.NotSelf.selector, address(this)));
        _payout.payRow(bytes32(0), 0, rows[0]);
        bytes32 role = _payout.EXECUTOR_ROLE();
        _expect(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, BOB, role));
        vm.prank(BOB);
        _payout.pay(manifest, 0, rows, _noProof);
        _payout.pause();
        _refusedRun(manifest, 0, rows, _noProof, abi.encodeWithSelector(Pausable.EnforcedPause.selector));
        require(_token.balanceOf(address(_payout)) == 309, "a refused run paid");
    }

    function test_runsThatAreNotInTheTreeAreRefused() external {
        Row[] memory rows = _rows(address(_token));
        Manifest memory manifest = _manifest(rows);
        _fund(manifest, 0);
        bytes4 misaligned = PayoutTree.MisalignedRows.selector;
        (Row[] memory run, bytes32[] memory proof) = _single(rows, 2);
        _refusedRun(manifest, 0, new Row[](0), _noProof, abi.encodeWithSelector(misaligned, 0, 0));
        _refusedRun(manifest, 1, rows, _noProof, abi.encodeWithSelector(misaligned, 1, 3));
        _refusedRun(manifest, 3, run, proof, abi.encodeWithSelector(misaligned, 3, 1));
        bytes4 length = PayoutTree.WrongProofLength.selector;
        _refusedRun(manifest, 0, rows, new bytes32[](1), abi.encodeWithSelector(length, 0, 1));
        _refusedRun(manifest, 2, run, _noProof, abi.encodeWithSelector(length, 2, 0));
        rows[0].amount += 1;
        _refusedRun(manifest, 0, rows, _noProof, abi.encodeWithSelector(BatchPayoutNotices.InvalidProof.selector));
        manifest.rows = 5; // three rows in the middle leave one out
        _fund(manifest, 0);
        _refusedRun(manifest, 0, rows, _noProof, abi.encodeWithSelector(misaligned, 0, 3));
    }

    function test_rowsThatCannotBePaidFailAlone() external {
        Row[] memory rows = _rows(address(0));
        rows[0].amount = 0;
        rows[1].amount = 301;
        Manifest memory manifest = _manifest(rows);
        bytes32 batch = _payout.hashManifest(manifest);
        _fund(manifest, 309);
        vm.expectEmit(address(_payout));
        emit BatchPayoutNotices.RowFailed(batch, 0, abi.encodeWithSelector(BatchPayoutNotices.InvalidRow.selector, 0));
        vm.expectEmit(address(_payout));
        emit BatchPayoutNotices.RowFailed(
            batch, 1, abi.encodeWithSelector(PaymentNotices.InsufficientDeposit.selector, 301, 300)
        );
        vm.expectEmit(address(_payout));
        emit BatchPayoutNotices.RowPaid(batch, 2, rows[2].recipient, address(0), 100, 0);
        _payout.pay(manifest, 0, rows, _noProof);
        require(rows[2].recipient.balance == 100, "the good row was not paid");
        _payout.pay(manifest, 0, rows, _noProof);
        require(_payout.batchState(batch).paid == 1 && rows[2].recipient.balance == 100, "a bad row was counted");
    }

    function test_aRowWithoutRecipientAlwaysFails() external {
        Row[] memory rows = _rows(address(_token));
        rows[0].recipient = address(0);
        Manifest memory manifest = _manifest(rows);
        bytes32 batch = _payout.hashManifest(manifest);
        _fund(manifest, 0);
        vm.expectEmit(address(_payout));
        emit BatchPayoutNotices.RowFailed(batch, 0, abi.encodeWithSelector(BatchPayoutNotices.InvalidRow.selector, 0));
        _payout.pay(manifest, 0, rows, _noProof);
        require(_payout.paidBits(batch, 0) == 6, "wrong rows were paid");
    }

    function test_cancellingReturnsWhatIsUnpaidAndEndsTheBatch() external {
        Row[] memory rows = _rows(address(0));
        Manifest memory manifest = _manifest(rows);
        bytes32 batch = _payout.hashManifest(manifest);
        _fund(manifest, 309);
        (Row[] memory run, bytes32[] memory proof) = _single(rows, 0);
        _payout.pay(manifest, 0, run, proof);
        _expect(abi.encodeWithSelector(PaymentNotices.NotPayer.selector, address(this)));
        _payout.cancel(manifest);
        vm.expectEmit(address(_payout));
        emit BatchPayoutNotices.BatchCancelled(batch, _alice);
        vm.expectEmit(address(_payout));
        emit BatchPayoutNotices.BatchReturned(batch, _alice, address(0), 209);
        vm.prank(_alice);
        _payout.cancel(manifest);
        require(_alice.balance == 1e9 - 100 && address(_payout).balance == 0, "not all came back");
        _expect(PaymentNotices.NothingToMove.selector);
        vm.prank(_alice);
        _payout.cancel(manifest);
        bytes memory cancelled = abi.encodeWithSelector(BatchPayoutNotices.BatchIsCancelled.selector);
        _refusedRun(manifest, 0, rows, _noProof, cancelled);
        _refusedFunding(manifest, cancelled);
    }

    function test_aTokenThatCannotBeReturnedHoldsUpNoOther() external {
        Manifest memory manifest = _manifest(_rows(address(_token)));
        TokenTotal[] memory totals = new TokenTotal[](2);
        totals[0] = TokenTotal(address(0), 50, 0);
        totals[1] = manifest.totals[0];
        manifest.totals = totals;
        bytes32 batch = _payout.hashManifest(manifest);
        _fund(manifest, 50);
        _token.setBehaviour(NastyToken.Behaviour.Paused);
        vm.prank(_alice);
        _payout.cancel(manifest);
        BatchPayout.Remainder memory left = _payout.remainderOf(batch, address(_token));
        require(left.amount == 300 && left.fee == 9 && _alice.balance == 1e9, "the other was held up");
        _expect(PaymentNotices.NothingToMove.selector);
        vm.prank(_alice);
        _payout.cancel(manifest);
        vm.warp(START + 101);
        _expect(PaymentNotices.NothingToMove.selector);
        _payout.returnUnspent(manifest);
        _token.setBehaviour(NastyToken.Behaviour.Honest);
        vm.expectEmit(address(_payout));
        emit BatchPayoutNotices.BatchReturned(batch, _alice, address(_token), 309);
        vm.prank(_alice);
        _payout.cancel(manifest);
        require(_token.balanceOf(_alice) == 1e9 && _token.balanceOf(address(_payout)) == 0, "tokens are left");
    }

    function test_anybodyReturnsWhatIsLeftAfterTheWindow() external {
        Manifest memory manifest = _manifest(_rows(address(_token)));
        _fund(manifest, 0);
        vm.warp(START + 101);
        vm.prank(BOB);
        _payout.returnUnspent(manifest);
        require(_token.balanceOf(_alice) == 1e9, "not all came back to the payer");
    }
}
