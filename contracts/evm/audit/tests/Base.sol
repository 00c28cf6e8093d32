// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice An event as the test runner records it.
struct Log {
    bytes32[] topics;
    bytes data;
    address emitter;
}

/// @notice The cheat codes of the test runner that these tests use.
interface Vm {
    function addr(uint256 key) external view returns (address);
    function sign(uint256 key, bytes32 digest) external view returns (uint8 v, bytes32 r, bytes32 s);
    function prank(address sender) external;
    function deal(address account, uint256 amount) external;
    function warp(uint256 timestamp) external;
    function txGasPrice(uint256 price) external;
    function expectRevert(bytes calldata reason) external;
    function expectEmit(address emitter) external;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory logs);
    function assume(bool condition) external;
}

/// @notice What every test contract here stands on.
abstract contract Base {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant ALICE_KEY = 0xA11CE;
    uint256 internal constant START = 2_000_000_000;

    function _sign(uint256 key, bytes32 digest) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev Have the next call revert with exactly this error.
    function _expect(bytes memory reason) internal {
        vm.expectRevert(reason);
    }

    /// @dev Have the next call revert with exactly this error, which has no arguments.
    function _expect(bytes4 selector) internal {
        vm.expectRevert(abi.encodeWithSelector(selector));
    }

    function _within(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + value % (high - low + 1);
    }
}
