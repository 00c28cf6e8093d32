// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @notice One payment of a manifest; its position in the tree is its index.
/// @param recipient Account that is paid.
/// @param token ERC-20 token, or the zero address for the native coin.
/// @param amount Atoms of `token` the recipient receives.
struct Row {
    address recipient;
    address token;
    uint256 amount;
}

/// @title PayoutTree
/// @notice Merkle tree over the rows of a manifest, and proofs of whole runs of rows.
///
/// Leaf `i` is keccak256(keccak256(abi.encode(i, recipient, token, amount))): hashed twice, so that no inner node,
/// which hashes 64 bytes, can pass for a row. Leaves from the row count up to the next power of two are zero. A node is
/// keccak256(left, right) by position, never sorted, so that the index is proven as well. A run starts at a multiple of
/// its width, the power of two that its rows fill up to, and one proof from its subtree to the root serves all of it.
library PayoutTree {
    /// @notice The run is empty, not aligned to its width, reaches beyond the manifest, or leaves rows out in between.
    error MisalignedRows(uint256 firstIndex, uint256 rows);
    /// @notice The proof has not as many nodes as there are levels between the run and the root.
    error WrongProofLength(uint256 expected, uint256 given);

    /// @notice Leaf of the row at `index`.
    function leaf(uint256 index, Row calldata row) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(index, row.recipient, row.token, row.amount))));
    }

    /// @notice Root that a run of rows and its proof lead to.
    /// @param rowCount Rows of the whole manifest.
    /// @param firstIndex Index of the first row of the run.
    /// @param rows The run; fewer rows than its width only at the end of the manifest.
    /// @param proof Sibling nodes from the run's subtree up to the root.
    /// @return root The root, to be compared with the signed one.
    function rootOf(uint256 rowCount, uint256 firstIndex, Row[] calldata rows, bytes32[] calldata proof)
        internal
        pure
        returns (bytes32 root)
    {
        uint256 height = levels(rows.length);
        uint256 width = 1 << height;
        uint256 end = firstIndex + rows.length;
        if (
            rows.length == 0 || firstIndex % width != 0 || end > rowCount
                || (rows.length != width && end != rowCount)
        ) revert MisalignedRows(firstIndex, rows.length);
        uint256 above = levels(rowCount) - height;
        if (proof.length != above) revert WrongProofLength(above, proof.length);

        bytes32[] memory nodes = new bytes32[](width);
        for (uint256 i = 0; i < rows.length; ++i) {
            nodes[i] = leaf(firstIndex + i, rows[i]);
        }
        for (uint256 half = width / 2; half > 0; half /= 2) {
            for (uint256 i = 0; i < half; ++i) {
                nodes[i] = Hashes.efficientKeccak256(nodes[2 * i], nodes[2 * i + 1]);
            }
        }
        root = nodes[0];
        uint256 position = firstIndex >> height;
        for (uint256 i = 0; i < above; ++i) {
            root = position & 1 == 0
                ? Hashes.efficientKeccak256(root, proof[i])
                : Hashes.efficientKeccak256(proof[i], root);
            position >>= 1;
        }
    }

    /// @notice Levels between the leaves and the root of the smallest tree with room for `rows` rows.
    function levels(uint256 rows) internal pure returns (uint256 height) {
        while (1 << height < rows) ++height;
    }
}
