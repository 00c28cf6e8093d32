"""The contracts of Safe are the published ones, and an account of two of three owners works on them."""

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from snowrail_chain.addresses import NATIVE_TOKEN, checksum_address
from snowrail_chain.deploy import SAFE_CONTRACTS
from snowrail_evm import load

from .chains import address_of
from .world import RICH, Person, World, call, person

# Where https://github.com/safe-global/safe-deployments lists version 1.4.1. Each address is CREATE2 of Safe's
# singleton factory with salt zero, so it holds for exactly one creation code.
FACTORY = bytes.fromhex("914d7Fec6aaC8cd542e72Bca78B30650d45643d7")
CANONICAL = {
    "SafeL2": "0x29fcB43b46531BcA003ddC8FCB67FFE91900C762",
    "SafeProxyFactory": "0x4e1DCf7AD4e460CfD30791CCC4F9c8a4f820ec67",
    "CompatibilityFallbackHandler": "0xfd0732Dc9E303f09fCEf3a7388Ad10A83459Ec99",
    "MultiSend": "0x38869bf66a61cF6bDB996A6aE40D5853Fd43B526",
    "MultiSendCallOnly": "0x9641d764fc13c8B624c04430C7356C1C7C8102e2",
}
PROXY_CREATION = f"0x{keccak(b'ProxyCreation(address,address)').hex()}"
OWNERS = sorted((person(f"owner {index}") for index in range(3)), key=lambda owner: int(owner.address, 16))
EXECUTE = "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)"
HASH = "getTransactionHash(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,uint256)"


@pytest.mark.parametrize("name", SAFE_CONTRACTS.values())
def test_the_creation_code_is_that_of_the_public_chains(name: str) -> None:
    creation = keccak(load(name).bytecode)
    assert checksum_address(keccak(b"\xff" + FACTORY + bytes(32) + creation)[12:]) == CANONICAL[name]


def test_two_of_three_owners_pay_and_one_does_not(world: World) -> None:
    deployed = {part: world.deploy(name) for part, name in SAFE_CONTRACTS.items()}
    setup = call(
        "setup(address[],uint256,address,bytes,address,address,uint256,address)",
        [owner.address for owner in OWNERS],
        2,
        NATIVE_TOKEN,
        b"",
        deployed["fallback_handler"],
        NATIVE_TOKEN,
        0,
        NATIVE_TOKEN,
    )
    create = call("createProxyWithNonce(address,bytes,uint256)", deployed["singleton"], setup, 0)
    outcome = world.must(world.admin, deployed["proxy_factory"], create)
    (proxy,) = (log["topics"][1] for log in outcome.logs if log["topics"][0] == PROXY_CREATION)
    account = checksum_address(bytes.fromhex(proxy[2:])[12:])
    world.chain.set_balance(account, RICH)
    fields = (address_of("bob"), 700, b"", 0, 0, 0, 0, NATIVE_TOKEN, NATIVE_TOKEN)
    digest = world.chain.read(account, call(HASH, *fields, 0))

    def execute(*signers: Person) -> bytes:
        return call(EXECUTE, *fields, b"".join(signer.sign_digest(digest) for signer in signers))

    assert not world.chain.send(world.admin, account, execute(OWNERS[0])).success
    assert not world.chain.send(world.admin, account, execute(OWNERS[0], person("mallory"))).success
    world.must(world.admin, account, execute(OWNERS[0], OWNERS[2]))
    assert world.chain.balance(address_of("bob")) == 700
    assert encode(["uint256"], [1]) == world.chain.read(account, call("nonce()"))
