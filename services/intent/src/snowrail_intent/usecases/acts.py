"""What users command, as the audit log has it (money-safety rule 15). What is refused changes nothing."""

from typing import Any

from snowrail_intent.domain.intents import Intent
from snowrail_kit.audit import Act


def act(action: str, intent: Intent, **details: Any) -> Act:
    """Return what the user did to an intent, which is as it has become.

    Args:
        action: past tense, such as `authorised`.
        intent: after it.
        details: beside the terms; JSON values.
    """
    return Act(
        actor=str(intent.user_id),
        action=f"intent.{action}",
        subject=str(intent.intent_id),
        details={
            "order_hash": f"0x{intent.order_hash.hex()}",
            "status": intent.status.value,
            "version": intent.version,
            **details,
        },
    )
