"""Movements of orders in the order of the chain, so that an execution's source follows from its place."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # its row is what recording an order's movements locks; the same order may be signed for several chains
    "ALTER TABLE order_deposit RENAME TO moved_order",
    "ALTER TABLE moved_order DROP CONSTRAINT order_deposit_pkey",
    "ALTER TABLE moved_order ADD PRIMARY KEY (order_hash, token)",
    "ALTER TABLE moved_order DROP COLUMN atoms",
    """
    CREATE TABLE order_movement (
        reference text PRIMARY KEY,
        order_hash text NOT NULL,
        token text NOT NULL,
        block_number bigint NOT NULL,
        log_index integer NOT NULL,
        atoms numeric(78, 0) NOT NULL CHECK (atoms <> 0),
        payer text,
        from_deposit boolean NOT NULL,
        left_after numeric(78, 0) NOT NULL,
        corrections integer NOT NULL
    )
    """,
    "CREATE INDEX order_movement_by_place ON order_movement (order_hash, token, block_number, log_index)",
    # what counts already, with the source it has in the ledger. The log of an execution was not recorded: in
    # the block of a deposit it is put where it has that source
    """
    INSERT INTO order_movement (reference, order_hash, token, block_number, log_index, atoms, payer,
                                from_deposit, left_after, corrections)
    SELECT reference, order_hash, token, block_number, log_index, atoms, payer, from_deposit,
           coalesce(sum(atoms) FILTER (WHERE from_deposit) OVER (
               PARTITION BY order_hash, token ORDER BY block_number, log_index, reference
           ), 0), 0
    FROM (
        SELECT credit.reference, substr(account, 8) AS order_hash, token,
               coalesce(block_number, 0) AS block_number,
               split_part(credit.reference, ':', 4)::integer AS log_index, atoms, NULL AS payer,
               true AS from_deposit
        FROM chain_credit AS credit JOIN journal USING (journal_id) JOIN posting USING (journal_id)
        WHERE account LIKE 'escrow:%'
        UNION ALL
        SELECT journal.reference, order_hash, payment.token, payment.block_number,
               CASE WHEN account LIKE 'escrow:%' THEN 2147483647 ELSE -1 END, posting.atoms, payer,
               account LIKE 'escrow:%'
        FROM payment
        JOIN journal ON journal.reference IN (
            'payment:' || payment_id || ':' || tx_hash || ':' || block_hash,
            'payment:' || payment_id || ':' || tx_hash || ':' || block_hash || ':' || version)
        JOIN posting ON posting.journal_id = journal.journal_id AND line = 1
        WHERE status = 'succeeded' AND NOT EXISTS (
            SELECT 1 FROM journal AS reversal WHERE reversal.reference = 'reversal:' || journal.reference)
    ) AS counting
    WHERE split_part(token, ':', 2) <> '0x0000000000000000000000000000000000000000'
    """,
    """
    INSERT INTO moved_order (order_hash, token) SELECT DISTINCT order_hash, token FROM order_movement
    ON CONFLICT DO NOTHING
    """,
)


def upgrade() -> None:
    """Change the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
