"""Where the contracts are, per chain.

A deployment is a JSON document:

    {"chain_id": 338, "deployer": "0x…", "contracts": {"IntentEscrow": {
        "address": "0x…", "code_hash": "0x…", "transaction_hash": "0x…", "block_number": 123}}}

Deployments to public chains are committed as `deployments/<chain_id>.json` of this package. A development
chain's document is written where the local stack keeps its data.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH = re.compile(r"0x[0-9a-f]{64}")


class UnknownDeployment(LookupError):
    """The contracts are not known to be on that chain."""


class InvalidDeployment(ValueError):
    """A deployment document does not follow the schema."""


@dataclass(frozen=True, slots=True)
class DeployedContract:
    """One contract on a chain.

    Attributes:
        address: EIP-55 address.
        code_hash: keccak-256 of the code on chain, `0x` and 64 lowercase hex digits.
        transaction_hash: Transaction that created it, in the same form.
        block_number: Block of that transaction.
    """

    address: str
    code_hash: str
    transaction_hash: str
    block_number: int

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.address):
            raise InvalidDeployment(f"not an address: {self.address!r}")
        for value in (self.code_hash, self.transaction_hash):
            if not _HASH.fullmatch(value):
                raise InvalidDeployment(f"not a hash: {value!r}")
        if self.block_number < 0:
            raise InvalidDeployment(f"negative block number: {self.block_number}")


@dataclass(frozen=True, slots=True)
class Deployment:
    """All contracts on one chain, by Solidity name."""

    chain_id: int
    deployer: str
    contracts: Mapping[str, DeployedContract]

    @classmethod
    def read(cls, path: Path | Traversable) -> "Deployment":
        """Read a deployment document.

        Raises:
            UnknownDeployment: The file does not exist.
            InvalidDeployment: The document does not follow the schema.
        """
        if not path.is_file():
            raise UnknownDeployment(f"no deployment at {path}")
        try:
            document: dict[str, Any] = json.loads(path.read_text("utf-8"))
            return cls(
                chain_id=int(document["chain_id"]),
                deployer=str(document["deployer"]),
                contracts={name: DeployedContract(**entry) for name, entry in document["contracts"].items()},
            )
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as problem:
            raise InvalidDeployment(f"{path}: {problem}") from problem

    def write(self, path: Path) -> None:
        """Write the document so that a reader sees either the old or the new one."""
        document = {
            "chain_id": self.chain_id,
            "deployer": self.deployer,
            "contracts": {name: asdict(contract) for name, contract in sorted(self.contracts.items())},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        os.replace(temporary, path)


def load_deployment(chain_id: int) -> Deployment:
    """Load the committed deployment of a public chain.

    Raises:
        UnknownDeployment: Nothing is committed for the chain.
        InvalidDeployment: The document does not follow the schema or names another chain.
    """
    deployment = Deployment.read(files("snowrail_evm") / "deployments" / f"{chain_id}.json")
    if deployment.chain_id != chain_id:
        raise InvalidDeployment(f"deployments/{chain_id}.json names chain {deployment.chain_id}")
    return deployment
