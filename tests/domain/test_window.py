"""The window as tables: what goes on, what rolls over, and why."""

from datetime import UTC, datetime, timedelta

import pytest

from convo_service.domain.window import Arrival, Decision, Latest, Owed, Reason, WindowPolicy, is_in_future

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TIMEOUT = timedelta(hours=48)
POLICY = WindowPolicy(cap=50)
SECOND = timedelta(seconds=1)


def latest(messages: int = 3, closed: Reason | None = None) -> Latest:
    """A conversation whose last inbound message came at noon."""
    return Latest(NOON, TIMEOUT, messages, closed)


def decide(
    arrival: Arrival, current: Latest | None, policy: WindowPolicy = POLICY, owed: Owed | None = None
) -> Decision:
    """The decision, for a topic that is the user's first."""
    return policy.decide(arrival, current, owed=owed, first=Reason.FIRST_CONTACT)


@pytest.mark.parametrize(
    ("idle", "messages", "reason"),
    [
        pytest.param(timedelta(0), 1, None, id="in the same second"),
        pytest.param(TIMEOUT - SECOND, 3, None, id="the last second still counts"),
        pytest.param(TIMEOUT, 3, Reason.IDLE_TIMEOUT, id="exactly at the timeout it is over"),
        pytest.param(timedelta(days=30), 3, Reason.IDLE_TIMEOUT, id="a month later"),
        pytest.param(SECOND, 49, None, id="one below the cap"),
        pytest.param(SECOND, 50, Reason.MESSAGE_CAP, id="at the cap"),
        pytest.param(TIMEOUT, 50, Reason.IDLE_TIMEOUT, id="idle comes before cap"),
    ],
)
def test_idle_and_cap(idle: timedelta, messages: int, reason: Reason | None) -> None:
    """A conversation is current while the pause is shorter than the timeout and it is below its cap."""
    assert decide(Arrival(NOON + idle), latest(messages)) == Decision(reason)


@pytest.mark.parametrize(
    ("arrival", "current", "decision"),
    [
        pytest.param(Arrival(NOON), None, Decision(Reason.FIRST_CONTACT), id="nobody was here"),
        pytest.param(
            Arrival(NOON, is_command=True), None, Decision(Reason.FIRST_CONTACT), id="/new comes first of all"
        ),
        pytest.param(Arrival(NOON, is_command=True), latest(), Decision(Reason.USER_RESET), id="/new"),
        pytest.param(
            Arrival(NOON + TIMEOUT, is_command=True), latest(50), Decision(Reason.USER_RESET), id="command before all"
        ),
        pytest.param(
            Arrival(NOON - SECOND, is_command=True), latest(), Decision(None, late=True), id="a late /new does nothing"
        ),
        pytest.param(Arrival(NOON - SECOND), latest(), Decision(None, late=True), id="a second late"),
        pytest.param(Arrival(NOON - SECOND), latest(50), Decision(None, late=True), id="late and at the cap"),
        pytest.param(
            Arrival(NOON + SECOND), latest(closed=Reason.OPERATOR), Decision(Reason.OPERATOR), id="closed by hand"
        ),
        pytest.param(
            Arrival(NOON + SECOND), latest(closed=Reason.IDLE_TIMEOUT), Decision(Reason.IDLE_TIMEOUT), id="swept"
        ),
        pytest.param(
            Arrival(NOON - SECOND),
            latest(closed=Reason.OPERATOR),
            Decision(Reason.OPERATOR, late=True),
            id="late, but nothing is active: it opens one",
        ),
        pytest.param(
            Arrival(NOON + SECOND, has_message=False), latest(50), Decision(None), id="without a message no cap"
        ),
        pytest.param(
            Arrival(NOON - SECOND, has_message=False), latest(), Decision(None), id="without a message nothing is late"
        ),
        pytest.param(
            Arrival(NOON + TIMEOUT, has_message=False),
            latest(),
            Decision(Reason.IDLE_TIMEOUT),
            id="without a message the pause still counts",
        ),
    ],
)
def test_order_of_reasons(arrival: Arrival, current: Latest | None, decision: Decision) -> None:
    """Command, then idle, then cap; late messages never open anything while a conversation is active."""
    assert decide(arrival, current) == decision


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        pytest.param(NOON + SECOND, None, id="before the rollover that is owed"),
        pytest.param(NOON + 2 * SECOND, Reason.USER_RESET, id="with it"),
        pytest.param(NOON + 3 * SECOND, Reason.USER_RESET, id="after it"),
    ],
)
def test_owed_rollover(at: datetime, reason: Reason | None) -> None:
    """What comes after a rollover that was decided and is not finished belongs to the next conversation."""
    owed = Owed(NOON + 2 * SECOND, Reason.USER_RESET)
    assert decide(Arrival(at), latest(), owed=owed) == Decision(reason)


@pytest.mark.parametrize(
    ("owed", "idle", "reason"),
    [
        pytest.param(Reason.MESSAGE_CAP, SECOND, Reason.MESSAGE_CAP, id="a cap that is owed"),
        pytest.param(Reason.MESSAGE_CAP, TIMEOUT, Reason.IDLE_TIMEOUT, id="idle comes before an owed cap"),
        pytest.param(Reason.OPERATOR, TIMEOUT, Reason.OPERATOR, id="a wish comes before idle"),
    ],
)
def test_order_of_what_is_owed(owed: Reason, idle: timedelta, reason: Reason) -> None:
    """What is owed keeps the order of reasons: a wish, then idle, then cap."""
    assert decide(Arrival(NOON + idle), latest(), owed=Owed(NOON + SECOND, owed)) == Decision(reason)


@pytest.mark.parametrize(
    ("arrival", "reason"),
    [
        pytest.param(Arrival(NOON + timedelta(days=400)), None, id="no idle rollover"),
        pytest.param(Arrival(NOON, is_command=True), Reason.USER_RESET, id="/new works"),
    ],
)
def test_holdout(arrival: Arrival, reason: Reason | None) -> None:
    """The holdout keeps one endless conversation, and its /new works."""
    policy = WindowPolicy(cap=50, endless=True)
    assert decide(arrival, latest(messages=5000), policy) == Decision(reason)


@pytest.mark.parametrize(
    ("ahead", "refused"),
    [
        pytest.param(timedelta(minutes=5), False, id="five minutes are a clock difference"),
        pytest.param(timedelta(minutes=5, microseconds=1), True, id="more is an error"),
    ],
)
def test_future(ahead: timedelta, refused: bool) -> None:
    """A message from more than five minutes ahead is refused."""
    assert is_in_future(NOON + ahead, NOON) is refused
