"""One message to one contact: its states, what ends an attempt, and when to try again. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from snowrail_notification.domain.catalogue import Channel, Priority

MAX_ATTEMPTS = 8
_FIRST_PAUSE_SECONDS = 5
_BELIEVED_ATTEMPTS = 3
"""How often a provider may name a shorter pause than ours: somebody waits for the answer to a line."""
_LONGEST_PAUSE_SECONDS = 3_600


class State(StrEnum):
    """States of a delivery; the attempt is on record before the provider hears of it."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Ended(StrEnum):
    """How an attempt ended."""

    ACCEPTED = "accepted"
    """The provider has it."""
    NOT_NOW = "not_now"
    """The provider surely does not have it, and may take it later."""
    REFUSED = "refused"
    """The provider will never take it."""
    GONE = "gone"
    """There is nobody there any more: the contact is to be forgotten."""
    UNKNOWN = "unknown"
    """The provider may have it: the answer was lost, or this process was."""


class IllegalTransition(ValueError):
    """What was told does not fit the state."""


@dataclass(frozen=True, slots=True)
class Next:
    """What follows the end of an attempt. `pause`: how long to wait before the next one."""

    state: State
    pause: timedelta = timedelta(0)


def claim(state: State) -> State:
    """Return the state of a delivery that is about to be attempted.

    Raises:
        IllegalTransition: it does not wait for an attempt.
    """
    if state is not State.PENDING:
        raise IllegalTransition(f"a delivery that is {state} is not attempted")
    return State.SENDING


def end(
    state: State,
    ended: Ended,
    channel: Channel,
    priority: Priority,
    attempts: int,
    retry_after: timedelta | None = None,
) -> Next:
    """Return what follows an attempt that ended.

    Args:
        attempts: how many were made, this one included.
        retry_after: how long the provider asked to be left alone.

    Raises:
        IllegalTransition: no attempt was under way.
    """
    if state is not State.SENDING:
        raise IllegalTransition(f"no attempt of a delivery that is {state} can end")
    match ended:
        case Ended.ACCEPTED:
            return Next(State.SENT)
        case Ended.REFUSED | Ended.GONE:
            return Next(State.FAILED)
        case Ended.NOT_NOW if attempts >= MAX_ATTEMPTS:
            return Next(State.FAILED)
        case Ended.UNKNOWN if attempts >= MAX_ATTEMPTS or not is_repeatable(channel, priority):
            return Next(State.UNKNOWN)
        case Ended.NOT_NOW | Ended.UNKNOWN:
            if retry_after is not None and attempts <= _BELIEVED_ATTEMPTS:
                return Next(State.PENDING, retry_after)
            return Next(State.PENDING, max(_pause(attempts), retry_after or timedelta(0)))


def is_repeatable(channel: Channel, priority: Priority) -> bool:
    """Return whether a message that may have arrived is sent again (decision 0011).

    A push message has a topic and a tag, by which the push service and the browser put the second in the
    place of the first. SMTP and the Bot API have nothing of the kind: there only what is critical goes out
    again.
    """
    return channel is Channel.WEB_PUSH or priority is Priority.CRITICAL


def _pause(attempts: int) -> timedelta:
    return timedelta(seconds=min(_FIRST_PAUSE_SECONDS * 4 ** (attempts - 1), _LONGEST_PAUSE_SECONDS))
