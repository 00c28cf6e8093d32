"""Accounts of the development chain. Their keys are publicly known: never send them anything."""

from dataclasses import dataclass
from functools import cache

from eth_account import Account

from snowrail_local.servers import DEV_MNEMONIC

DEPLOYER_INDEX = 0
EXECUTOR_INDEX = 1
FIRST_PERSON_INDEX = 2
ACCOUNTS = 12


@dataclass(frozen=True)
class DevAccount:
    """A funded account of the development chain.

    Attributes:
        address: EIP-55.
        private_key: `0x` and 64 hexadecimal digits, derived from the publicly known mnemonic.
    """

    address: str
    private_key: str


@cache
def dev_account(index: int) -> DevAccount:
    """Return the account at `m/44'/60'/0'/0/<index>` of the publicly known development mnemonic."""
    Account.enable_unaudited_hdwallet_features()
    account = Account.from_mnemonic(DEV_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
    return DevAccount(account.address, f"0x{bytes(account.key).hex()}")


def people() -> list[DevAccount]:
    """Return the accounts that stand for people: not the deployer, not the executor."""
    return [dev_account(index) for index in range(FIRST_PERSON_INDEX, ACCOUNTS)]
