"""The committed build outputs of the Solidity sources."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


class UnknownContract(LookupError):
    """No contract of that name was compiled."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown contract {name!r}; known are {', '.join(contract_names())}")


@dataclass(frozen=True, slots=True)
class ContractArtifact:
    """One compiled contract.

    Attributes:
        name: Solidity name.
        abi: ABI entries as the compiler wrote them; not to be changed by the reader.
        bytecode: Creation code, to which encoded constructor arguments are appended.
        deployed_bytecode: Code on chain, with zeros where immutable values go.
    """

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    deployed_bytecode: bytes


def contract_names() -> list[str]:
    """Names of all compiled contracts, sorted."""
    folder = files("snowrail_evm") / "compiled"
    return sorted(
        entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")
    )


@cache
def load(name: str) -> ContractArtifact:
    """Load a compiled contract, such as `IntentEscrow`.

    Raises:
        UnknownContract: No such contract.
    """
    path = files("snowrail_evm") / "compiled" / f"{name}.json"
    if not name.isidentifier() or not path.is_file():
        raise UnknownContract(name)
    document = json.loads(path.read_text("utf-8"))
    return ContractArtifact(
        name=document["name"],
        abi=document["abi"],
        bytecode=bytes.fromhex(document["bytecode"][2:]),
        deployed_bytecode=bytes.fromhex(document["deployedBytecode"][2:]),
    )
