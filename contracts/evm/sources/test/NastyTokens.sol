// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title NastyToken
/// @notice One token that behaves as badly as real ones do, in a way chosen at any time; for tests.
contract NastyToken is ERC20 {
    /// @notice How transfers behave.
    enum Behaviour {
        Honest,
        ReturnsFalse,
        ReturnsNothing,
        ClaimsSuccess,
        TakesFee,
        RevertsHuge,
        BurnsGas,
        Paused,
        ReturnsHuge
    }

    /// @notice Current behaviour.
    Behaviour public behaviour;
    /// @notice Accounts that can neither send nor receive.
    mapping(address account => bool) public blocked;
    /// @notice Share of every balance that is left, in hundredths of a percent; rebasing moves it.
    uint256 public basisPoints = 10_000;

    /// @notice The token is paused.
    error TokenPaused();
    /// @notice The account is blocked.
    error AccountBlocked(address account);

    constructor() ERC20("Nasty", "NASTY") {}

    /// @notice Creates `amount` atoms for `account`.
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    /// @notice Chooses the behaviour of transfers.
    function setBehaviour(Behaviour newBehaviour) external {
        behaviour = newBehaviour;
    }

    /// @notice Blocks or unblocks an account.
    function setBlocked(address account, bool value) external {
        blocked[account] = value;
    }

    /// @notice Rebases every balance to this share of what was minted and moved.
    function rebase(uint256 newBasisPoints) external {
        basisPoints = newBasisPoints;
    }

    /// @inheritdoc ERC20
    function balanceOf(address account) public view override returns (uint256) {
        return super.balanceOf(account) * basisPoints / 10_000;
    }

    /// @inheritdoc ERC20
    function transfer(address to, uint256 value) public override returns (bool) {
        return _moveBadly(msg.sender, to, value);
    }

    /// @inheritdoc ERC20
    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        _spendAllowance(from, msg.sender, value);
        return _moveBadly(from, to, value);
    }

    function _moveBadly(address from, address to, uint256 value) private returns (bool) {
        Behaviour chosen = behaviour;
        if (chosen == Behaviour.Paused) revert TokenPaused();
        if (blocked[from]) revert AccountBlocked(from);
        if (blocked[to]) revert AccountBlocked(to);
        if (chosen == Behaviour.ReturnsFalse) return false;
        if (chosen == Behaviour.ClaimsSuccess) return true;
        if (chosen == Behaviour.RevertsHuge) {
            assembly {
                revert(0, 100000)
            }
        }
        if (chosen == Behaviour.BurnsGas) {
            assembly {
                invalid()
            }
        }
        _transfer(from, to, value * 10_000 / basisPoints);
        if (chosen == Behaviour.TakesFee) _transfer(to, address(0xdead), value / 100);
        if (chosen == Behaviour.ReturnsNothing) {
            assembly {
                return(0, 0)
            }
        }
        if (chosen == Behaviour.ReturnsHuge) {
            assembly {
                mstore(0, 1)
                return(0, 60000)
            }
        }
        return true;
    }
}

/// @notice What a recipient registers for with {HookToken}.
interface ITokenReceiver {
    /// @notice Called after tokens arrived.
    function tokensReceived(address from, uint256 amount) external;
}

/// @title HookToken
/// @notice A token that tells registered recipients about what they received, as ERC-777 does; for tests.
contract HookToken is ERC20 {
    /// @notice Accounts that are told.
    mapping(address account => bool) public hooked;

    constructor() ERC20("Hook", "HOOK") {}

    /// @notice Creates `amount` atoms for `account`.
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    /// @notice Registers or removes an account that wants to be told.
    function setHook(address account, bool value) external {
        hooked[account] = value;
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (hooked[to]) ITokenReceiver(to).tokensReceived(from, value);
    }
}

/// @title PhantomPermitToken
/// @notice A token without permits whose fallback accepts any call, as wrapped coins of the first kind do; for tests.
contract PhantomPermitToken is ERC20 {
    constructor() ERC20("Phantom", "PHNT") {}

    fallback() external payable {}

    /// @notice Accepts coin as the fallback does.
    receive() external payable {}

    /// @notice Creates `amount` atoms for `account`.
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    /// @notice Always zero, as a counter that permits do not move.
    function nonces(address) external pure returns (uint256) {
        return 0;
    }
}

/// @title SaltedPermitToken
/// @notice A token whose permits are signed under a domain of another form: no version, and the chain id as a salt, as
/// some bridged dollars have it; for tests.
contract SaltedPermitToken is ERC20 {
    bytes32 private constant PERMIT_TYPE_HASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 private constant DOMAIN_TYPE_HASH =
        keccak256("EIP712Domain(string name,address verifyingContract,bytes32 salt)");

    /// @notice Number of permits used, by owner.
    mapping(address owner => uint256) public nonces;

    /// @notice The permit is not the owner's, or late.
    error PermitRefused();

    constructor() ERC20("Salted", "SALT") {}

    /// @notice Creates `amount` atoms for `account`.
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    /// @notice Sets an allowance by the owner's signature.
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
    {
        bytes32 structHash = keccak256(abi.encode(PERMIT_TYPE_HASH, owner, spender, value, nonces[owner]++, deadline));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR(), structHash));
        if (block.timestamp > deadline || ECDSA.recover(digest, v, r, s) != owner) revert PermitRefused();
        _approve(owner, spender, value);
    }

    /// @notice Separator of the unusual domain.
    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE_HASH, keccak256("Salted"), address(this), bytes32(block.chainid)));
    }
}
