// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title TestUSDC
/// @notice A dollar token of 6 decimals with EIP-2612 permits and EIP-3009 authorisations, minted by its deployer.
/// For development chains only.
contract TestUSDC is ERC20Permit, Ownable {
    bytes32 private constant TRANSFER_TYPE_HASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant RECEIVE_TYPE_HASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant CANCEL_TYPE_HASH = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");

    /// @notice Whether an authorisation was used or cancelled.
    mapping(address authorizer => mapping(bytes32 nonce => bool used)) public authorizationState;

    /// @notice An authorisation moved money.
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
    /// @notice An authorisation was cancelled before use.
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

    /// @notice The authorisation was used or cancelled before.
    error AuthorizationUsedAlready();
    /// @notice The authorisation is outside its window.
    error AuthorizationOutsideWindow();
    /// @notice The signature is not the authoriser's.
    error AuthorizationInvalid();
    /// @notice Only the payee may use a receive authorisation.
    error CallerNotPayee();

    constructor() ERC20("USD Coin", "USDC") ERC20Permit("USD Coin") Ownable(msg.sender) {}

    /// @notice Number of decimals of an amount.
    function decimals() public pure override returns (uint8) {
        return 6;
    }

    /// @notice Creates `amount` atoms for `account`.
    function mint(address account, uint256 amount) external onlyOwner {
        _mint(account, amount);
    }

    /// @notice Moves tokens by a signed authorisation that anyone may submit (EIP-3009).
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        bytes32 structHash = keccak256(abi.encode(TRANSFER_TYPE_HASH, from, to, value, validAfter, validBefore, nonce));
        _authorize(from, structHash, validAfter, validBefore, nonce, v, r, s);
        _transfer(from, to, value);
    }

    /// @notice Moves tokens by a signed authorisation that only the payee may submit (EIP-3009).
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        if (msg.sender != to) revert CallerNotPayee();
        bytes32 structHash = keccak256(abi.encode(RECEIVE_TYPE_HASH, from, to, value, validAfter, validBefore, nonce));
        _authorize(from, structHash, validAfter, validBefore, nonce, v, r, s);
        _transfer(from, to, value);
    }

    /// @notice Cancels an unused authorisation (EIP-3009).
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external {
        if (authorizationState[authorizer][nonce]) revert AuthorizationUsedAlready();
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(CANCEL_TYPE_HASH, authorizer, nonce)));
        if (ECDSA.recover(digest, v, r, s) != authorizer) revert AuthorizationInvalid();
        authorizationState[authorizer][nonce] = true;
        emit AuthorizationCanceled(authorizer, nonce);
    }

    function _authorize(
        address from,
        bytes32 structHash,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) private {
        if (block.timestamp <= validAfter || block.timestamp >= validBefore) revert AuthorizationOutsideWindow();
        if (authorizationState[from][nonce]) revert AuthorizationUsedAlready();
        if (ECDSA.recover(_hashTypedDataV4(structHash), v, r, s) != from) revert AuthorizationInvalid();
        authorizationState[from][nonce] = true;
        emit AuthorizationUsed(from, nonce);
    }
}

/// @title TestUSDT
/// @notice A dollar token of 6 decimals whose transfers and approvals return nothing, as the well-known one does, and
/// whose non-zero allowance must be reset to zero before it changes. Minted by its deployer; development chains only.
contract TestUSDT {
    /// @notice Name of the token.
    string public constant name = "Tether USD";
    /// @notice Symbol of the token.
    string public constant symbol = "USDT";
    /// @notice Number of decimals of an amount.
    uint8 public constant decimals = 6;
    /// @notice Account that may mint.
    address public immutable owner = msg.sender;
    /// @notice Atoms in existence.
    uint256 public totalSupply;
    /// @notice Atoms by holder.
    mapping(address account => uint256) public balanceOf;
    /// @notice Atoms a spender may move, by owner and spender.
    mapping(address account => mapping(address spender => uint256)) public allowance;

    /// @notice Tokens moved.
    event Transfer(address indexed from, address indexed to, uint256 value);
    /// @notice An allowance was set.
    event Approval(address indexed owner, address indexed spender, uint256 value);

    /// @notice Only the deployer may mint.
    error NotOwner();
    /// @notice A non-zero allowance can only be set to zero.
    error AllowanceNotZero();

    /// @notice Creates `amount` atoms for `account`.
    function mint(address account, uint256 amount) external {
        if (msg.sender != owner) revert NotOwner();
        totalSupply += amount;
        balanceOf[account] += amount;
        emit Transfer(address(0), account, amount);
    }

    /// @notice Lets `spender` move `value` atoms of the caller.
    function approve(address spender, uint256 value) external {
        if (value != 0 && allowance[msg.sender][spender] != 0) revert AllowanceNotZero();
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
    }

    /// @notice Moves `value` atoms of the caller.
    function transfer(address to, uint256 value) external {
        _move(msg.sender, to, value);
    }

    /// @notice Moves `value` atoms of `from` within the caller's allowance.
    function transferFrom(address from, address to, uint256 value) external {
        allowance[from][msg.sender] -= value;
        _move(from, to, value);
    }

    function _move(address from, address to, uint256 value) private {
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }
}

/// @title FeeOnTransferToken
/// @notice Takes one percent of every transfer; the escrow must refuse it. Development chains only.
contract FeeOnTransferToken is ERC20, Ownable {
    constructor() ERC20("Fee On Transfer", "FEE") Ownable(msg.sender) {}

    /// @notice Creates `amount` atoms for `account`.
    function mint(address account, uint256 amount) external onlyOwner {
        _mint(account, amount);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) super._update(to, address(0xdead), value / 100);
    }
}

/// @title TestWCRO
/// @notice Wrapped native coin: deposits and withdrawals at one to one. Development chains only.
contract TestWCRO is ERC20 {
    /// @notice Native coin was wrapped.
    event Deposit(address indexed account, uint256 amount);
    /// @notice Native coin was unwrapped.
    event Withdrawal(address indexed account, uint256 amount);

    /// @notice The account refused the native coin.
    error WithdrawalFailed();

    constructor() ERC20("Wrapped CRO", "WCRO") {}

    /// @notice Wraps what is sent.
    receive() external payable {
        deposit();
    }

    /// @notice Wraps what is sent.
    function deposit() public payable {
        _mint(msg.sender, msg.value);
        emit Deposit(msg.sender, msg.value);
    }

    /// @notice Unwraps `amount` to the caller.
    function withdraw(uint256 amount) external {
        _burn(msg.sender, amount);
        emit Withdrawal(msg.sender, amount);
        (bool success,) = msg.sender.call{value: amount}("");
        if (!success) revert WithdrawalFailed();
    }
}
