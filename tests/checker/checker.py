"""The independent checker: reads the chain's logs from block 0 and the databases, and says what disagrees.

It is a program of its own and shares no code with the services: what they got wrong together must be seen.

    python tests/checker/checker.py stack.json [--unfinished-allowed]

`stack.json` is {"rpc": url, "escrow": address, "databases": {service_with_underscores: postgresql url}}.
It prints one line per violation and ends with status 1 when there is any.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from eth_utils.crypto import keccak

NATIVE = "0x" + "0" * 40
EXECUTED = "Executed(bytes32,uint32,address,address,address,uint256,uint256)"
FUNDED = "Funded(bytes32,address,address,uint256,uint256)"
CANCELLED = "Cancelled(bytes32,address,uint256)"
RETURNED = "Returned(bytes32,address,uint256)"
FINISHED = {"succeeded", "failed", "blocked", "cancelled"}
ENDED_WITHOUT_EFFECT = {"failed", "blocked", "cancelled"}
LOG_RANGE_BLOCKS = 2_000


@dataclass(frozen=True)
class Stack:
    """Where to look."""

    rpc: str
    escrow: str
    databases: dict[str, str]


@dataclass
class OnChain:
    """What the escrow's logs say. Amounts in atoms, hashes and addresses in lowercase hex."""

    executed: dict[tuple[str, int], list[dict[str, Any]]] = field(
        default_factory=lambda: defaultdict[tuple[str, int], list[dict[str, Any]]](list)
    )
    deposits: Counter[str] = field(default_factory=Counter[str])
    """Atoms per order that were funded, less what was refunded and what executions took from deposits."""
    tokens: dict[str, str] = field(default_factory=dict[str, str])
    """Token of each order that was ever funded."""


def topic(signature: str) -> str:
    """Return the first topic of an event."""
    return "0x" + keccak(text=signature).hex()


def words(data: str) -> list[int]:
    """Return the 32-byte words of a log's data."""
    body = data.removeprefix("0x")
    return [int(body[start : start + 64], 16) for start in range(0, len(body), 64)]


def address_of(word: int | str) -> str:
    """Return a topic or word as an address."""
    value = int(word, 16) if isinstance(word, str) else word
    return "0x" + f"{value:040x}"[-40:]


async def call(client: httpx.AsyncClient, stack: Stack, method: str, *parameters: Any) -> Any:
    """Return the result of one JSON-RPC call."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
    answer = (await client.post(stack.rpc, json=body)).json()
    if "error" in answer:
        raise RuntimeError(f"{method}: {answer['error']}")
    return answer["result"]


async def read_chain(client: httpx.AsyncClient, stack: Stack) -> OnChain:
    """Fold the escrow's logs from block 0."""
    found = OnChain()
    head = int(await call(client, stack, "eth_blockNumber"), 16)
    for start in range(0, head + 1, LOG_RANGE_BLOCKS):
        query = {
            "address": stack.escrow,
            "fromBlock": hex(start),
            "toBlock": hex(min(head, start + LOG_RANGE_BLOCKS - 1)),
        }
        for entry in await call(client, stack, "eth_getLogs", query):
            fold(found, entry)
    return found


def fold(found: OnChain, entry: dict[str, Any]) -> None:
    """Take one log into account."""
    kind, order = entry["topics"][0], entry["topics"][1]
    values = words(entry["data"])
    if kind == topic(FUNDED):
        found.tokens[order] = address_of(values[0])
        found.deposits[order] = values[2]
    elif kind in (topic(CANCELLED), topic(RETURNED)):
        found.deposits[order] -= values[0]
    elif kind == topic(EXECUTED):
        token, amount, fee = address_of(values[1]), values[2], values[3]
        found.executed[order, int(entry["topics"][2], 16)].append(
            {
                "recipient": address_of(entry["topics"][3]),
                "payer": address_of(values[0]),
                "token": token,
                "amount": amount,
                "fee": fee,
                "tx_hash": entry["transactionHash"],
            }
        )
        if token == NATIVE or found.deposits[order] >= amount + fee:
            found.deposits[order] -= amount + fee


async def check_payments(found: OnChain, database: asyncpg.Connection, finished: bool) -> list[str]:
    """Payments against the chain: none twice, none lost, none invented."""
    wrong = [
        f"executed {len(entries)} times on chain: order {order} occurrence {occurrence}"
        for (order, occurrence), entries in found.executed.items()
        if len(entries) > 1
    ]
    rows = await database.fetch("SELECT * FROM payment")
    # an execution that one payment failed to make may be made by a later one
    standing = [row for row in rows if row["status"] not in ENDED_WITHOUT_EFFECT]
    by_order = {(row["order_hash"], row["occurrence"]): row for row in standing}
    if len(by_order) != len(standing):
        wrong.append("two payments share an order and occurrence")
    for row in rows:
        by_order.setdefault((row["order_hash"], row["occurrence"]), row)
    for key, entries in found.executed.items():
        row = by_order.get(key)
        if row is None:
            wrong.append(f"paid on chain without a payment: order {key[0]} in {entries[0]['tx_hash']}")
        elif row["status"] != "succeeded":
            if finished:
                wrong.append(f"paid on chain but {row['status']}: payment {row['payment_id']}")
        else:
            wrong += compare(row, entries[0])
    for key, row in by_order.items():
        if row["status"] == "succeeded" and key not in found.executed:
            wrong.append(f"succeeded but not on chain: payment {row['payment_id']}")
        if finished and row["status"] not in FINISHED:
            wrong.append(f"not finished: payment {row['payment_id']} is {row['status']}")
    return wrong


def compare(row: Any, entry: dict[str, Any]) -> list[str]:
    """Say where a payment differs from its execution."""
    expected = {
        "recipient": row["recipient"].lower(),
        "payer": row["payer"].lower(),
        "token": row["token"].partition(":")[2].lower(),
        "amount": int(row["amount"]),
        "fee": int(row["fee"]),
        "tx_hash": row["tx_hash"],
    }
    return [
        f"payment {row['payment_id']}: {name} is {value} in the database and {entry[name]} on chain"
        for name, value in expected.items()
        if entry[name] != value
    ]


async def check_ledger(
    client: httpx.AsyncClient, stack: Stack, found: OnChain, database: asyncpg.Connection
) -> list[str]:
    """The ledger: balanced, and equal to what the escrow holds, per order and in total."""
    wrong = [
        f"journal {row['journal_id']} does not sum to zero"
        for row in await database.fetch(
            "SELECT journal_id FROM posting GROUP BY journal_id, token HAVING sum(atoms) <> 0"
        )
    ]
    rows = await database.fetch(
        "SELECT account, token, sum(atoms)::text AS atoms FROM posting WHERE account LIKE 'escrow:%'"
        " GROUP BY account, token"
    )
    ledger = {row["account"].removeprefix("escrow:"): int(row["atoms"]) for row in rows}
    totals: Counter[str] = Counter()
    for row in rows:
        totals[row["token"].partition(":")[2].lower()] += int(row["atoms"])
    for order in found.deposits.keys() | ledger.keys():
        on_chain, recorded = found.deposits.get(order, 0), ledger.get(order, 0)
        if on_chain != recorded:
            wrong.append(f"order {order} holds {on_chain} on chain, {recorded} in the ledger")
    for token in set(found.tokens.values()) | set(totals):
        held = await balance(client, stack, token)
        if held != totals.get(token, 0):
            wrong.append(f"the escrow holds {held} of {token}, the ledger says {totals.get(token, 0)}")
    return wrong


async def balance(client: httpx.AsyncClient, stack: Stack, token: str) -> int:
    """Return what the escrow contract holds of a token."""
    if token == NATIVE:
        return int(await call(client, stack, "eth_getBalance", stack.escrow, "latest"), 16)
    data = "0x70a08231" + stack.escrow.removeprefix("0x").rjust(64, "0")
    return int(await call(client, stack, "eth_call", {"to": token, "data": data}, "latest"), 16)


HOLDS = """
SELECT payment_id, payment.status, array_agg(hold.status ORDER BY hold.attempt) AS holds
FROM payment LEFT JOIN hold USING (payment_id) GROUP BY payment_id, payment.status
"""


async def check_holds(database: asyncpg.Connection, finished: bool) -> list[str]:
    """Holds: posted once on success, void after failure, kept only while an attempt is open."""
    wrong: list[str] = []
    for row in await database.fetch(HOLDS):
        holds = Counter(status for status in row["holds"] if status)
        status = row["status"]
        if status == "succeeded" and holds["POSTED"] != 1:
            wrong.append(f"payment {row['payment_id']} succeeded with {holds['POSTED']} posted holds")
        if status != "succeeded" and holds["POSTED"]:
            wrong.append(f"payment {row['payment_id']} is {status} with a posted hold")
        if holds["HELD"] != (1 if status in ("executing", "unknown") else 0):
            wrong.append(f"payment {row['payment_id']} is {status} with {holds['HELD']} open holds")
    if finished:
        unknown = await database.fetchval("SELECT count(*) FROM attempt WHERE status IN ('LIVE', 'UNKNOWN')")
        if unknown:
            wrong.append(f"{unknown} attempts are still open")
    return wrong


async def check_bus(connections: dict[str, asyncpg.Connection], finished: bool) -> list[str]:
    """The bus: every number a producer gave reached whoever consumes the subject, and nothing waits."""
    wrong: list[str] = []
    given: dict[tuple[str, str], int] = {}
    for service, connection in connections.items():
        producer = service.replace("_", "-")
        for row in await connection.fetch("SELECT sequence_key, last FROM outbox_sequence"):
            given[producer, row["sequence_key"]] = row["last"]
        unsent = await connection.fetchval("SELECT count(*) FROM outbox_unsent")
        parked = await connection.fetchval("SELECT count(*) FROM parked_message")
        unnumbered = await connection.fetchval(
            "SELECT count(*) FROM outbox WHERE position NOT IN (SELECT position FROM outbox_number)"
        )
        dead = await connection.fetchval("SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL")
        if finished and unsent:
            wrong.append(f"{service}: {unsent} events were not published")
        if finished and unnumbered:
            wrong.append(f"{service}: {unnumbered} events were passed over")
        if finished and parked:
            wrong.append(f"{service}: {parked} messages still wait")
        if dead:
            wrong.append(f"{service}: {dead} dead letters")
        gaps = await connection.fetch(
            "SELECT sequence_key FROM outbox_number GROUP BY sequence_key"
            " HAVING count(DISTINCT sequence) <> max(sequence) - min(sequence) + 1"
            " OR count(*) <> count(DISTINCT sequence)"
        )
        wrong += [f"{service}: numbers of {row['sequence_key']} are not dense" for row in gaps]
    if finished:
        for service, connection in connections.items():
            wrong += await check_holes(service, connection, given)
    return wrong


async def check_holes(
    service: str, connection: asyncpg.Connection, given: dict[tuple[str, str], int]
) -> list[str]:
    """Say which numbers a consumer never received."""
    wrong: list[str] = []
    rows = await connection.fetch(
        "SELECT producer, sequence_key, count(DISTINCT sequence) AS received, count(*) AS copies,"
        " max(sequence) AS last"
        " FROM inbox WHERE sequence IS NOT NULL GROUP BY producer, sequence_key"
    )
    for row in rows:
        last = given.get((row["producer"], row["sequence_key"]), 0)
        if (row["received"], row["last"]) != (last, last):
            wrong.append(
                f"{service}: {row['received']} of {last} {row['sequence_key']} from {row['producer']} arrived"
            )
        if row["copies"] != row["received"]:
            wrong.append(f"{service}: a number of {row['sequence_key']} was given to two events")
    return wrong


async def check(stack: Stack, finished: bool = True) -> list[str]:
    """Return every violation found. `finished`: the platform has come to rest."""
    connections = {name: await asyncpg.connect(url, ssl=False) for name, url in stack.databases.items()}
    try:
        async with httpx.AsyncClient(timeout=30) as client:
            found = await read_chain(client, stack)
            orchestrator = connections["payment_orchestrator"]
            wrong = await check_payments(found, orchestrator, finished)
            wrong += await check_holds(orchestrator, finished)
            if finished:
                wrong += await check_ledger(client, stack, found, orchestrator)
        wrong += await check_bus(connections, finished)
        return wrong
    finally:
        for connection in connections.values():
            await connection.close()


def main() -> None:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stack", type=Path)
    parser.add_argument("--unfinished-allowed", action="store_true")
    options = parser.parse_args()
    stack = Stack(**json.loads(options.stack.read_text()))
    wrong = asyncio.run(check(stack, finished=not options.unfinished_allowed))
    for line in wrong:
        print(line)
    print(f"{len(wrong)} violations")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
