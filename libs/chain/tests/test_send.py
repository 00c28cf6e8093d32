"""What nodes say about a raw transaction, and what it means."""

import pytest

from snowrail_chain.send import SendOutcome, classify_send_error


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        # geth, erigon
        ("already known", SendOutcome.ALREADY_KNOWN),
        ("nonce too low: next nonce 5, tx nonce 3", SendOutcome.NONCE_TOO_LOW),
        ("nonce too high: address 0x1, tx: 9 state: 5", SendOutcome.NONCE_TOO_HIGH),
        ("replacement transaction underpriced", SendOutcome.UNDERPRICED),
        ("transaction underpriced: gas tip cap 0, minimum needed 1", SendOutcome.UNDERPRICED),
        ("max fee per gas less than block base fee: address 0x1", SendOutcome.UNDERPRICED),
        ("insufficient funds for gas * price + value: balance 0", SendOutcome.INSUFFICIENT_FUNDS),
        # anvil
        ("transaction already imported", SendOutcome.ALREADY_KNOWN),
        ("Insufficient funds for gas * price + value", SendOutcome.INSUFFICIENT_FUNDS),
        # nethermind, besu
        ("AlreadyKnown", SendOutcome.ALREADY_KNOWN),
        ("OldNonce, Current nonce: 5, nonce of rejected tx: 3", SendOutcome.NONCE_TOO_LOW),
        ("NonceGap, Future nonce. Expected nonce: 5", SendOutcome.NONCE_TOO_HIGH),
        ("FeeTooLow, MaxFeePerGas too low", SendOutcome.UNDERPRICED),
        ("Known transaction", SendOutcome.ALREADY_KNOWN),
        ("Gas price below configured minimum gas price", SendOutcome.UNDERPRICED),
        ("Upfront cost exceeds account balance", SendOutcome.INSUFFICIENT_FUNDS),
        # ethermint
        ("invalid nonce; got 7, expected 5: invalid sequence: invalid sequence", SendOutcome.NONCE_TOO_HIGH),
        ("invalid nonce; got 3, expected 5: invalid sequence: invalid sequence", SendOutcome.NONCE_TOO_LOW),
        ("tx already in mempool", SendOutcome.ALREADY_KNOWN),
        ("tx already exists in cache", SendOutcome.ALREADY_KNOWN),
        ("provided fee < minimum global fee (1 < 2): insufficient fee", SendOutcome.UNDERPRICED),
        ("sender balance < tx cost (1 < 2): insufficient funds", SendOutcome.INSUFFICIENT_FUNDS),
        # anything else is no verdict
        ("mempool is full", SendOutcome.UNKNOWN),
        ("internal error", SendOutcome.UNKNOWN),
        ("rate limit exceeded", SendOutcome.UNKNOWN),
        ("", SendOutcome.UNKNOWN),
    ],
)
def test_messages_are_classified(message: str, outcome: SendOutcome) -> None:
    assert classify_send_error(message) is outcome
