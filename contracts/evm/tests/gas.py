"""Gas of every entry point that pays, measured on a real node, and the committed snapshot of it.

python -m pytest contracts/evm/tests/test_gas.py                              compares
SNOWRAIL_GAS_SNAPSHOT=write python -m pytest contracts/evm/tests/test_gas.py  writes it again (`make gas`)
"""

from collections.abc import Callable
from pathlib import Path

from snowrail_chain.abi import Execution, deposit_calldata, fund_calldata, prepay_calldata
from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.manifest import PayoutRow

from .batches import Batch, Payouts
from .chains import Chain, address_of
from .mandates import LISTED, Mandates
from .world import RICH, World, person

SNAPSHOT = Path(__file__).resolve().parents[1] / "gas-snapshot.json"
TOLERANCE_PERCENT = 3
BATCH_SIZES = (50, 200)
LARGE_BATCH_ROWS = 10_000
ALICE = person("alice")


def measure(chain: Chain) -> dict[str, int]:
    """Gas used by name; every figure on a fresh chain, recipients being new accounts unless called known."""
    measured: dict[str, int] = {}
    for name, used in _MEASUREMENTS.items():
        measured[name] = used(World(chain))
    return measured


def _token(world: World, kind: str) -> str:
    return NATIVE_TOKEN if kind == "native" else world.usdc


def _provide(world: World, *spenders: str) -> None:
    world.chain.set_balance(ALICE.address, RICH)
    world.mint(world.usdc, ALICE.address, 10**12)
    for spender in spenders:
        world.approve(world.usdc, ALICE.address, 10**12, spender)


def _recipients(world: World, count: int, token: str, known: bool) -> list[str]:
    recipients = [address_of(f"payee {index}") for index in range(count)]
    for recipient in recipients if known else ():
        if token == NATIVE_TOKEN:
            world.chain.set_balance(recipient, 1)
        else:
            world.mint(token, recipient, 1)
    return recipients


def _executions(world: World, count: int, kind: str, known: bool) -> list[Execution]:
    token = _token(world, kind)
    _provide(world, world.escrow)
    items: list[Execution] = []
    for index, recipient in enumerate(_recipients(world, count, token, known)):
        order = world.native_order(
            ALICE.address, recipient, token=token, salt=(index + 1).to_bytes(32, "big")
        )
        if token == NATIVE_TOKEN:
            world.must(ALICE.address, world.escrow, fund_calldata(order), value=order.amount)
        items.append(Execution(order, 0, world.sign(ALICE, order)))
    return items


def _execute(kind: str, known: bool) -> Callable[[World], int]:
    def used(world: World) -> int:
        (item,) = _executions(world, 1, kind, known)
        outcome = world.execute(item.order, 0, item.signature)
        assert outcome.success
        return outcome.gas_used

    return used


def _execute_many(count: int, kind: str, known: bool) -> Callable[[World], int]:
    def used(world: World) -> int:
        outcome = world.execute_many(_executions(world, count, kind, known), gas=29_000_000)
        assert outcome.success
        return outcome.gas_used

    return used


def _pay(rows: int, run: int, kind: str, known: bool) -> Callable[[World], int]:
    def used(world: World) -> int:
        payouts = Payouts(world)
        token = _token(world, kind)
        recipients = _recipients(world, run, token, known)
        recipients += [address_of("further payee")] * (rows - run)
        batch = Batch(ALICE, [PayoutRow(recipient, token, 1_000) for recipient in recipients])
        payouts.fund(batch)
        outcome = payouts.pay(batch, 0, run)
        assert len(payouts.paid(outcome)) == run
        return outcome.gas_used

    return used


def _fund_batch(kind: str) -> Callable[[World], int]:
    def used(world: World) -> int:
        rows = [PayoutRow(address_of(f"payee {index}"), _token(world, kind), 9) for index in range(200)]
        return Payouts(world).fund(Batch(ALICE, rows)).gas_used

    return used


def _spend(kind: str, repeated: bool) -> Callable[[World], int]:
    def used(world: World) -> int:
        mandates = Mandates(world)
        _provide(world, mandates.address)
        world.must(ALICE.address, mandates.address, prepay_calldata(), value=1_000)
        mandate = mandates.mandate(ALICE.address, _token(world, kind))
        if repeated:
            assert mandates.spend(mandate, 10, number=1).success
        outcome = mandates.spend(mandate, 10, recipient=LISTED[0])
        assert outcome.success
        return outcome.gas_used

    return used


def _deposit(world: World) -> int:
    _provide(world, world.escrow)
    order = world.native_order(ALICE.address, address_of("payee"), token=world.usdc)
    return world.must(ALICE.address, world.escrow, deposit_calldata(order, order.amount)).gas_used


def _measurements() -> dict[str, Callable[[World], int]]:
    found: dict[str, Callable[[World], int]] = {"escrow deposit": _deposit}
    for kind in ("native", "token"):
        found[f"batch fund {kind}"] = _fund_batch(kind)
        found[f"mandate spend {kind}, first"] = _spend(kind, repeated=False)
        found[f"mandate spend {kind}, next to a known recipient"] = _spend(kind, repeated=True)
        found[f"batch pay 1 of {LARGE_BATCH_ROWS} {kind}"] = _pay(LARGE_BATCH_ROWS, 1, kind, known=False)
        found[f"batch pay 64 of {LARGE_BATCH_ROWS} {kind}"] = _pay(LARGE_BATCH_ROWS, 64, kind, known=False)
        for known in (False, True):
            suffix = f"{kind}, known recipients" if known else kind
            found[f"escrow execute {suffix}"] = _execute(kind, known)
            for count in BATCH_SIZES:
                found[f"escrow executeMany {count} {suffix}"] = _execute_many(count, kind, known)
                found[f"batch pay {count} {suffix}"] = _pay(count, count, kind, known)
    return found


_MEASUREMENTS = _measurements()
