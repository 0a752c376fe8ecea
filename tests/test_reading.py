"""The bench's second reading of the window's rules, against tables made by hand from the contract's sentences."""

from datetime import UTC, datetime, timedelta

import pytest
from bench import reading
from bench.reading import Conversation, Line

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def inbound(after: timedelta, text: str = "prezzi?") -> tuple[str, timedelta, str]:
    return ("inbound", after, text)


def outbound(after: timedelta) -> tuple[str, timedelta, str]:
    return ("outbound", after, "Ecco il listino.")


def read(*said: tuple[str, timedelta, str], cap: int = 50) -> list[Conversation]:
    """The conversations of one user whose window is 48 hours."""
    lines = [
        Line(number, "+39333", direction, text, START + after, f"wamid.{number}" if direction == "inbound" else None)
        for number, (direction, after, text) in enumerate(said, 1)
    ]
    return reading.read(lines, cap, 48 * HOUR)["+39333"]


def shape(conversations: list[Conversation]) -> list[tuple[str, str | None, int]]:
    return [(one.created_reason, one.closed_reason, one.message_count) for one in conversations]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(
            [inbound(0 * HOUR), inbound(48 * HOUR - SECOND)],
            [("first_contact", None, 2)],
            id="the last second still counts",
        ),
        pytest.param(
            [inbound(0 * HOUR), inbound(48 * HOUR)],
            [("first_contact", "idle_timeout", 1), ("idle_timeout", None, 1)],
            id="exactly at the timeout it is over",
        ),
        pytest.param(
            [inbound(0 * HOUR), outbound(47 * HOUR), inbound(48 * HOUR)],
            [("first_contact", "idle_timeout", 2), ("idle_timeout", None, 1)],
            id="a campaign of the bot keeps nothing alive",
        ),
        pytest.param(
            [inbound(0 * HOUR), inbound(40 * HOUR), inbound(80 * HOUR)],
            [("first_contact", None, 3)],
            id="each message of the user begins the window anew",
        ),
    ],
)
def test_idle(said: list[tuple[str, timedelta, str]], expected: list[tuple[str, str | None, int]]) -> None:
    """A conversation is current while less than the timeout has passed since the user's last message."""
    assert shape(read(*said)) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(
            [inbound(0 * HOUR), outbound(1 * HOUR), inbound(2 * HOUR)],
            [("first_contact", None, 3)],
            id="one below the cap there is room",
        ),
        pytest.param(
            [inbound(0 * HOUR), outbound(1 * HOUR), inbound(2 * HOUR), inbound(3 * HOUR)],
            [("first_contact", "message_cap", 3), ("message_cap", None, 1)],
            id="at the cap the next inbound opens",
        ),
        pytest.param(
            [inbound(0 * HOUR), *[outbound(1 * HOUR)] * 4],
            [("first_contact", None, 5)],
            id="the bot's messages never open",
        ),
        pytest.param(
            [inbound(0 * HOUR), *[outbound(1 * HOUR)] * 2, inbound(48 * HOUR)],
            [("first_contact", "idle_timeout", 3), ("idle_timeout", None, 1)],
            id="idle is asked before the cap",
        ),
    ],
)
def test_cap(said: list[tuple[str, timedelta, str]], expected: list[tuple[str, str | None, int]]) -> None:
    """The cap counts both sides and is looked at when an inbound message arrives."""
    assert shape(read(*said, cap=3)) == expected


@pytest.mark.parametrize(
    ("late", "counts"),
    [
        pytest.param(51 * HOUR, [1, 3], id="in the active conversation"),
        pytest.param(30 * HOUR, [2, 2], id="after the last message of a closed one, before the next began"),
        pytest.param(-1 * HOUR, [2, 2], id="before everything: the oldest"),
    ],
)
def test_late(late: timedelta, counts: list[int]) -> None:
    """A late message belongs to the conversation that covers its time, else to the oldest, and opens none."""
    conversations = read(inbound(0 * HOUR), inbound(50 * HOUR), inbound(52 * HOUR), inbound(late))
    assert [one.message_count for one in conversations] == counts
    assert [message.late for one in conversations for message in one.messages].count(True) == 1


def test_late_does_not_move_the_window() -> None:
    """A late message never moves the window back: it is still judged from the newest one."""
    conversations = read(inbound(0 * HOUR), inbound(40 * HOUR), inbound(1 * HOUR), inbound(88 * HOUR - SECOND))
    assert shape(conversations) == [("first_contact", None, 4)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(
            [inbound(0 * HOUR), inbound(1 * HOUR, "/new")],
            [("first_contact", "user_reset", 1), ("user_reset", None, 0)],
            id="a command alone is not counted",
        ),
        pytest.param(
            [inbound(0 * HOUR), inbound(1 * HOUR, "\u200b\uff0fNUOVA  e i resi?")],
            [("first_contact", "user_reset", 1), ("user_reset", None, 1)],
            id="text after it is the first message, in any width and case",
        ),
        pytest.param(
            [inbound(0 * HOUR, "/new")],
            [("first_contact", None, 0)],
            id="as the very first message it is first contact",
        ),
        pytest.param(
            [inbound(0 * HOUR), inbound(1 * HOUR, "/newsletter"), inbound(2 * HOUR, "please /new")],
            [("first_contact", None, 3)],
            id="other words are ordinary text",
        ),
        pytest.param(
            [inbound(1 * HOUR), inbound(0 * HOUR, "/new")],
            [("first_contact", None, 1)],
            id="a late one does nothing",
        ),
        pytest.param(
            [inbound(1 * HOUR), inbound(0 * HOUR, "/new e i resi?")],
            [("first_contact", None, 2)],
            id="text after a late one is late text",
        ),
    ],
)
def test_commands(said: list[tuple[str, timedelta, str]], expected: list[tuple[str, str | None, int]]) -> None:
    """A command closes and opens, before idle and cap are asked."""
    assert shape(read(*said)) == expected


def test_differences() -> None:
    """A reading differs from itself in nothing, and from another in what is named without any text."""
    one = {"+39333": read(inbound(0 * HOUR), inbound(1 * HOUR))}
    other = {"+39333": read(inbound(0 * HOUR))}
    assert list(reading.differences(one, one)) == []
    found = list(reading.differences(one, other))
    assert "user 1, conversation 1: message_count is 1, expected 2" in found
    assert "user 1, conversation 1: lines [2] are missing or differ" in found
    assert "prezzi" not in " ".join(found)


def test_miscounted() -> None:
    """Each message of the file is stored exactly once."""
    row = (
        '{"identity": "+39333", "direction": "inbound", "id": "w1", "sent_at": "2026-03-02T09:00:00Z", "text": "ciao"}'
    )
    lines = reading.parse([row])
    stored = reading.said(lines[0], late=True)
    assert list(reading.miscounted(lines, {"+39333": [stored]})) == []
    assert list(reading.miscounted(lines, {})) == ["line 1 is not stored"]
    assert list(reading.miscounted(lines, {"+39333": [stored, stored]})) == [
        "1 messages are stored twice or are not in the file"
    ]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param('{"identity": "a"}', id="fields are missing"),
        pytest.param("no json", id="no JSON"),
        pytest.param(
            '{"identity": "a", "direction": "inbound", "sent_at": "2026-03-02T09:00:00Z", "text": "x"}', id="no id"
        ),
        pytest.param(
            '{"identity": "a", "direction": "inbound", "id": "w", "sent_at": "2026-03-02T09:00:00", "text": "x"}',
            id="no zone",
        ),
        pytest.param(
            '{"identity": "a", "direction": "outbound", "sent_at": "2026-03-02T09:00:00Z", "text": "x"}',
            id="the bot speaks first",
        ),
    ],
)
def test_unreadable(row: str) -> None:
    """A line that cannot be replayed is named by its number."""
    with pytest.raises(reading.Unreadable, match="line 1"):
        reading.parse([row])
