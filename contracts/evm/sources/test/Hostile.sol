// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title HostileRecipient
/// @notice Receives native coin in the worst ways a recipient can; for tests.
contract HostileRecipient {
    /// @notice What happens on receipt.
    enum Behaviour {
        Accept,
        Revert,
        BurnGas,
        ReturnBomb,
        Reenter
    }

    /// @notice Current behaviour.
    Behaviour public behaviour;
    /// @notice Whether a call made while receiving succeeded.
    bool public reentered;
    address private _target;
    bytes private _data;

    /// @notice Refused on purpose.
    error Refused();

    /// @notice Chooses the behaviour, and for {Behaviour.Reenter} the call to make.
    function configure(Behaviour newBehaviour, address target, bytes calldata data) external {
        behaviour = newBehaviour;
        _target = target;
        _data = data;
    }

    /// @notice Makes a call as this contract, so that it can also be a payer.
    function perform(address target, uint256 value, bytes calldata data) external payable {
        (bool success, bytes memory result) = target.call{value: value}(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(result, 0x20), mload(result))
            }
        }
    }

    /// @notice Told by tokens with hooks what was received.
    function tokensReceived(address, uint256) external {
        _behave();
    }

    receive() external payable {
        _behave();
    }

    function _behave() private {
        if (behaviour == Behaviour.Revert) revert Refused();
        if (behaviour == Behaviour.BurnGas) {
            assembly {
                invalid()
            }
        }
        if (behaviour == Behaviour.ReturnBomb) {
            assembly {
                revert(0, 60000)
            }
        }
        if (behaviour == Behaviour.Reenter) {
            (bool success,) = _target.call(_data);
            if (success) reentered = true;
        }
    }
}

/// @title HostileToken
/// @notice A token that calls somebody else during a transfer, or reverts with a great deal of data; for tests.
contract HostileToken is ERC20 {
    /// @notice Whether a call made during a transfer succeeded.
    bool public reentered;
    /// @notice Bytes of revert data of each transfer; zero to transfer.
    uint256 public bombBytes;
    address private _target;
    uint256 private _value;
    bytes private _data;

    constructor() ERC20("Hostile", "HSTL") {}

    receive() external payable {}

    /// @notice Creates `amount` atoms for `account`.
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    /// @notice Chooses what a transfer does besides moving: a call, or a revert with so many bytes.
    function configure(address target, uint256 value, bytes calldata data, uint256 newBombBytes) external {
        _target = target;
        _value = value;
        _data = data;
        bombBytes = newBombBytes;
    }

    /// @notice Makes a call as this contract, so that it can also be a payer.
    function perform(address target, uint256 value, bytes calldata data) external {
        (bool success, bytes memory result) = target.call{value: value}(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(result, 0x20), mload(result))
            }
        }
    }

    function _update(address from, address to, uint256 value) internal override {
        uint256 bytesToReturn = bombBytes;
        if (bytesToReturn > 0 && from != address(0)) {
            assembly {
                revert(0, bytesToReturn)
            }
        }
        super._update(from, to, value);
        address target = _target;
        if (target != address(0) && from != address(0)) {
            (bool success,) = target.call{value: _value}(_data);
            if (success) reentered = true;
        }
    }
}

/// @title TestSmartAccount
/// @notice A contract account with one owner: signs through ERC-1271 and makes calls for its owner; for tests.
contract TestSmartAccount is IERC1271 {
    /// @notice Key that signs and commands.
    address public immutable owner;
    /// @notice Whether native coin is accepted.
    bool public accepting = true;

    /// @notice Only the owner may command.
    error NotOwner();
    /// @notice Native coin is refused at the moment.
    error Refused();

    /// @param owner_ Key that signs and commands.
    constructor(address owner_) payable {
        owner = owner_;
    }

    receive() external payable {
        if (!accepting) revert Refused();
    }

    /// @notice Chooses whether native coin is accepted.
    function setAccepting(bool value) external {
        if (msg.sender != owner) revert NotOwner();
        accepting = value;
    }

    /// @notice Makes a call as this account.
    function perform(address target, uint256 value, bytes calldata data) external payable returns (bytes memory) {
        if (msg.sender != owner) revert NotOwner();
        (bool success, bytes memory result) = target.call{value: value}(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(result, 0x20), mload(result))
            }
        }
        return result;
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 hash, bytes memory signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecover(hash, signature);
        return problem == ECDSA.RecoverError.NoError && signer == owner ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}
