"""What every event and command has in common."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """A past-tense fact, or a command to one owner. Frozen; the version is in the name.

    A class states its subject on the bus, the one service that may publish it, and which field names the
    aggregate it belongs to. Inside a version only optional fields are added.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    subject: ClassVar[str]
    """Subject on the bus: `<context>.<fact>.v<N>`."""
    producers: ClassVar[tuple[str, ...]]
    """Services that may publish it; more than one only for the user feed and for lines that users type."""
    aggregate: ClassVar[str]
    """Name of the field that identifies the aggregate."""

    def aggregate_id(self) -> str:
        """Return the id of the aggregate this event belongs to."""
        return str(getattr(self, type(self).aggregate))

    def routing_subject(self) -> str:
        """Return the subject to publish on. Only the user feed puts an id in it."""
        return type(self).subject
