"""Answers to commands that cannot be followed."""

from typing import Any

from snowrail_events import NotificationRejectedV1
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction


class Rejected(Exception):
    """A command that cannot be followed and changed nothing. `code` is stable, `detail` is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def reject(tx: Transaction, delivery: Delivery[Any], command: str, why: Rejected) -> None:
    """Answer a command, which carries `user_id` and `request_id`, that changed nothing."""
    tx.emit(
        NotificationRejectedV1(
            user_id=delivery.event.user_id,
            request_id=delivery.event.request_id,
            command=command,
            code=why.code,
            detail=why.detail,
            rejected_at=tx.now,
        ),
        delivery,
    )
