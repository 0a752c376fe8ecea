"""The window: does a message belong to the current conversation, or does it open the next one, and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

FUTURE_TOLERANCE = timedelta(minutes=5)
SERVICE_WINDOW = timedelta(hours=24)
CARRIED_AT_CAP = 6  # messages that a rollover in the middle of talk repeats verbatim
CARRIED_AFTER_PAUSE = 12  # the newest of those that were said while a person answered


class Reason(StrEnum):
    """Why a conversation was created; a rollover gives the old one the same word as its closed reason."""

    FIRST_CONTACT = "first_contact"
    IDLE_TIMEOUT = "idle_timeout"
    MESSAGE_CAP = "message_cap"
    USER_RESET = "user_reset"
    OPERATOR = "operator"
    TOPIC_CHANGE = "topic_change"
    IMPORTED = "imported"
    LOST_UPSTREAM = "lost_upstream"

    @property
    def leaves_a_usable_conversation(self) -> bool:
        """Whether the old conversation can still answer when the new one cannot be made."""
        return self in (Reason.IDLE_TIMEOUT, Reason.MESSAGE_CAP)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the window sees of a request: its event time, whether it brings a message, and whether that is `/new`."""

    at: datetime
    has_message: bool = True
    is_command: bool = False


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest conversation of a (user, topic): the active one, or else the last that was closed."""

    last_inbound_at: datetime
    timeout: timedelta
    message_count: int = 0
    closed_reason: Reason | None = None  # None: it is active


@dataclass(frozen=True, slots=True)
class Owed:
    """A rollover that was decided and is not finished: what comes after it belongs to the next conversation."""

    since: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` says why a new conversation has to be opened; None: the active one goes on."""

    reason: Reason | None
    late: bool = False


@dataclass(frozen=True, slots=True)
class WindowPolicy:
    """The rules of one user: the cap of messages, and whether windows apply at all (not to the holdout)."""

    cap: int
    endless: bool = False

    def decide(self, arrival: Arrival, latest: Latest | None, *, owed: Owed | None = None, first: Reason) -> Decision:
        """Judge one arrival; `first` is the reason when the topic has no conversation yet."""
        if latest is None:
            return Decision(first)
        late = arrival.has_message and arrival.at < latest.last_inbound_at
        if arrival.is_command and not late:
            return Decision(Reason.USER_RESET)
        if latest.closed_reason is not None:
            return Decision(latest.closed_reason, late)
        if late:
            return Decision(None, late)
        return Decision(self._rollover(arrival, latest, owed if owed and arrival.at >= owed.since else None))

    def _rollover(self, arrival: Arrival, latest: Latest, owed: Owed | None) -> Reason | None:
        if owed and not owed.reason.leaves_a_usable_conversation:
            return owed.reason
        if self._is_idle(arrival, latest):
            return Reason.IDLE_TIMEOUT
        if owed:
            return owed.reason
        if not self.endless and arrival.has_message and latest.message_count >= self.cap:
            return Reason.MESSAGE_CAP
        return None

    def _is_idle(self, arrival: Arrival, latest: Latest) -> bool:
        return not self.endless and arrival.at - latest.last_inbound_at >= latest.timeout


def service_window_end(last_inbound_at: datetime) -> datetime:
    """When WhatsApp's customer-service window ends, in which a business may write what it likes: no window of ours."""
    return last_inbound_at + SERVICE_WINDOW


def is_in_future(sent_at: datetime, now: datetime) -> bool:
    """Whether a message claims a time that no clock difference explains."""
    return sent_at - now > FUTURE_TOLERANCE
