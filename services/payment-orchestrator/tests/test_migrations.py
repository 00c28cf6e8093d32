"""What a migration makes of books that were kept before it."""

import asyncio

import asyncpg

from snowrail_kit.migrations import upgrade
from snowrail_testkit import CreateDatabase

PACKAGE = "snowrail_payment_orchestrator"
TOKEN = "31337:0x" + "1" * 40
NATIVE = "31337:0x" + "0" * 40

_BOOKS = """
CREATE FUNCTION book(
    kind text, reference text, block bigint, source text, target text, token text, atoms numeric
) RETURNS uuid LANGUAGE sql AS $$
    WITH added AS (
        INSERT INTO journal SELECT gen_random_uuid(), kind, reference, now(), block RETURNING journal_id
    )
    INSERT INTO posting SELECT journal_id, line, account, token, change FROM added, (VALUES
        (1, source, -atoms), (2, target, atoms)) AS lines (line, account, change) RETURNING journal_id
$$;
CREATE FUNCTION credit(
    kind text, block bigint, index integer, source text, target text, token text, atoms numeric
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO chain_credit SELECT name, 1, book(kind, name || ':1', block, source, target, token, atoms)
    FROM (SELECT kind || ':31337:0xtx:' || index || ':0xblock' || block AS name) AS named
$$;
CREATE FUNCTION pay(
    occurrence integer, hash text, token text, block bigint, source text, is_versioned boolean, status text
) RETURNS void LANGUAGE sql AS $$
    WITH paid AS (
        INSERT INTO payment (payment_id, intent_id, occurrence, user_id, chain_id, escrow, terms, order_hash,
            signature, token, amount, payer, recipient, status, step, version, tx_hash, block_number,
            block_hash, requested_at, changed_at)
        SELECT gen_random_uuid(), gen_random_uuid(), occurrence, gen_random_uuid(), 31337, '', '{}', hash, '',
               token, 10, 'p', 'r', status, '', 4, '0xtx', block, '0xblock' || block, now(), now()
        RETURNING 'payment:' || payment_id || ':0xtx:0xblock' || block
                  || CASE WHEN is_versioned THEN ':4' ELSE '' END AS reference
    )
    SELECT book('payment', reference, block, source, 'wallet:r', token, 10) FROM paid
$$;
INSERT INTO order_deposit VALUES ('order', $token$, 5), ('own', $native$, 0);
SELECT credit('funded', 5, 3, 'wallet:p', 'escrow:order', $token$, 20);
SELECT pay(0, 'order', $token$, 4, 'wallet:p', false, 'succeeded');
SELECT pay(1, 'order', $token$, 5, 'wallet:p', true, 'succeeded');
SELECT pay(2, 'order', $token$, 5, 'escrow:order', true, 'succeeded');
SELECT pay(3, 'order', $token$, 6, 'wallet:p', true, 'executing');
SELECT credit('returned', 7, 0, 'escrow:order', 'wallet:p', $token$, 5);
SELECT pay(0, 'alone', $token$, 8, 'wallet:p', true, 'succeeded');
SELECT credit('funded', 5, 4, 'wallet:p', 'escrow:own', $native$, 10);
SELECT pay(0, 'own', $native$, 6, 'escrow:own', true, 'succeeded');
""".replace("$token$", f"'{TOKEN}'").replace("$native$", f"'{NATIVE}'")


def migrate_to_0004(package: str, url: str) -> None:
    """Make the tables as they were before movements."""
    upgrade(package, url, "0004")


async def test_books_from_before_are_replayed_from_where_they_are(create_database: CreateDatabase) -> None:
    database = await create_database(PACKAGE, migrate_to_0004)
    connection = await asyncpg.connect(database.superuser_url, ssl=False)
    try:
        await connection.execute(_BOOKS)
        await asyncio.to_thread(upgrade, PACKAGE, database.owner_url)
        rows = await connection.fetch(
            "SELECT order_hash, block_number, atoms, from_deposit, left_after, payer, reference"
            " FROM order_movement ORDER BY order_hash DESC, block_number, log_index"
        )
        orders = await connection.fetch("SELECT order_hash, token FROM moved_order ORDER BY order_hash")
        journals = {row["reference"] for row in await connection.fetch("SELECT reference FROM journal")}
    finally:
        await connection.close()
    assert [tuple(row)[:6] for row in rows] == [
        ("order", 4, -10, False, 0, "p"),
        ("order", 5, -10, False, 0, "p"),
        ("order", 5, 20, True, 20, None),
        ("order", 5, -10, True, 10, "p"),
        ("order", 7, -5, True, 5, None),
        ("alone", 8, -10, False, 0, "p"),
    ]
    paid = {row["reference"] for row in rows if row["payer"]}
    assert paid <= journals
    assert [row["reference"] for row in rows if not row["payer"]] == [
        "funded:31337:0xtx:3:0xblock5",
        "returned:31337:0xtx:0:0xblock7",
    ]
    assert [tuple(row) for row in orders] == [("alone", TOKEN), ("order", TOKEN), ("own", NATIVE)]
