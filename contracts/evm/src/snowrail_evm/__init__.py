"""Compiled Snowrail contracts (ABI and bytecode) and where they are deployed, per chain."""

from snowrail_evm.artifacts import ContractArtifact, UnknownContract, contract_names, load
from snowrail_evm.deployments import (
    DeployedContract,
    Deployment,
    InvalidDeployment,
    UnknownDeployment,
    load_deployment,
)

__all__ = [
    "ContractArtifact",
    "DeployedContract",
    "Deployment",
    "InvalidDeployment",
    "UnknownContract",
    "UnknownDeployment",
    "contract_names",
    "load",
    "load_deployment",
]
