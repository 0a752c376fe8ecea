"""Which of a bot's conversations stays open, and which message belongs to which."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convo_service.domain.adoption import Settled, Stored, Window, settle
from convo_service.domain.identities import Identity
from convo_service.domain.legacy import BotConversation, BotMessage, Person
from convo_service.domain.window import Reason

ANNA = Identity("+393331234567", "phone")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def day(n: int | None) -> datetime:
    """A day of January."""
    return datetime(2026, 1, n or 1, 9, tzinfo=UTC)


def bot(id_: str, began: int | None, *, is_open: bool = True) -> BotConversation:
    """A conversation of the bot's."""
    return BotConversation(id_, ANNA.value, None if began is None else day(began), is_open)


def said(*days: int, by: str = "inbound") -> list[BotMessage]:
    """A message on each of these days."""
    direction = "inbound" if by == "inbound" else "outbound"
    return [BotMessage(f"msg_{n}_{direction}", direction, "ciao", day(n)) for n in days]  # type: ignore[arg-type]


def here(id_: str, number: int, began: int, *, last: int, active: bool = True, reason: str = "imported") -> Window:
    """A conversation that this service has."""
    closed = None if active else "idle_timeout"
    return Window(id_, number, ANNA.value, day(began), day(last), day(last), active, reason, closed)


def settled(
    conversations: list[BotConversation], messages: list[BotMessage], known: list[Window] | None = None
) -> Settled:
    """Settle one person."""
    return settle(Person([ANNA], conversations, messages), known or [], {}, NOW)


def shown(found: Settled) -> list[tuple[str, int, bool, str | None, str | None]]:
    """The conversations in their order."""
    return [(one.id, one.number, one.is_active, one.closed_reason, one.parent_id) for one in found.windows]


@pytest.mark.parametrize(
    ("conversations", "expected"),
    [
        pytest.param([bot("a", 1)], [("a", 1, True, None, None)], id="the open one stays open"),
        pytest.param(
            [bot("b", 5), bot("a", 1)],
            [("a", 1, False, "imported", None), ("b", 2, True, None, "a")],
            id="of two numbers the newest stays open",
        ),
        pytest.param(
            [bot("a", 1), bot("b", 5, is_open=False)],
            [("a", 1, True, None, None), ("b", 2, False, "idle_timeout", "a")],
            id="the newest that is open",
        ),
        pytest.param([bot("a", 1, is_open=False)], [("a", 1, False, "idle_timeout", None)], id="none was open"),
        pytest.param([bot("a", 1), bot("a", 1)], [("a", 1, True, None, None)], id="one id under two numbers"),
        pytest.param(
            [bot("b", 5), bot("a", None)],
            [("a", 1, False, "imported", None), ("b", 2, True, None, "a")],
            id="without a time it began with the first message",
        ),
        pytest.param([], [], id="none at all"),
    ],
)
def test_first_adoption(
    conversations: list[BotConversation], expected: list[tuple[str, int, bool, str | None, str | None]]
) -> None:
    """A user who is new here keeps one open conversation, and the others are history in their order."""
    assert shown(settled(conversations, said(2, 6))) == expected


@pytest.mark.parametrize(
    ("known", "conversations", "expected"),
    [
        pytest.param(
            [here("a", 1, 1, last=3)],
            [bot("a", 1), bot("b", 5)],
            [("a", 1, False, "imported", None), ("b", 2, True, None, "a")],
            id="the bot began another one since",
        ),
        pytest.param(
            [here("a", 1, 1, last=9)],
            [bot("b", 5)],
            [("a", 1, True, None, None), ("b", 2, False, "imported", "a")],
            id="talk here went on after it began",
        ),
        pytest.param(
            [here("a", 1, 3, last=9)],
            [bot("b", 1), bot("c", 2)],
            [("b", -1, False, "imported", None), ("c", 0, False, "imported", "b"), ("a", 1, True, None, None)],
            id="older ones go before",
        ),
        pytest.param(
            [here("a", 1, 1, last=1, reason="first_contact")],
            [bot("b", 5)],
            [("b", 0, False, "imported", None), ("a", 1, True, None, None)],
            id="a user of this service is not taken away",
        ),
        pytest.param(
            [here("a", 1, 1, last=3, active=False)],
            [bot("b", 5)],
            [("a", 1, False, "idle_timeout", None), ("b", 2, True, None, "a")],
            id="after a sweep",
        ),
    ],
)
def test_adoption_again(
    known: list[Window],
    conversations: list[BotConversation],
    expected: list[tuple[str, int, bool, str | None, str | None]],
) -> None:
    """What is known stays; what the bot has beside it is taken in without taking a user away from this service."""
    assert shown(settled(conversations, said(1), known)) == expected


def test_a_replaced_conversation() -> None:
    """One that the bot has no more was replaced, though its row kept the date; unless talk here went on after it."""
    found = settled([bot("b", 1)], said(2, 4), [here("a", 1, 1, last=3)])
    assert [(one.id, one.is_active) for one in found.windows] == [("a", False), ("b", True)]
    found = settled([bot("b", 1)], said(2, 4), [here("a", 1, 1, last=5)])
    assert [(one.id, one.is_active) for one in found.windows] == [("a", True), ("b", False)]


def test_after_two() -> None:
    """A new one follows from the last of those that are known; what is older moves nothing back."""
    known = [here("a", 1, 1, last=3, active=False), here("b", 2, 4, last=6)]
    found = settled([bot("a", 1), bot("b", 4), bot("c", 8)], said(2, 5), known)
    assert (found.windows[-1].parent_id, found.windows[-1].number) == ("b", 3)
    assert [one.last_message_at for one in found.windows[:2]] == [day(3), day(6)]


def test_one_id_with_two_dates() -> None:
    """A conversation under two spellings began with the earlier row."""
    (found,) = settled([bot("a", 5), bot("a", 2)], said(3)).windows
    assert (found.created_at, found.is_active) == (day(2), True)


def test_the_same_row_twice() -> None:
    """A table without a key may have a row twice; it is one message."""
    assert len(settled([bot("a", 1)], said(2, 2)).stored) == 1


def test_homes() -> None:
    """A message belongs to the bot's conversation that covers its time, else to the oldest."""
    found = settled([bot("a", 3), bot("b", 6)], said(1, 3, 5, 6, 9))
    assert [home for _, home in found.stored] == ["a", "a", "a", "b", "b"]
    assert [(one.id, one.message_count, one.last_message_at) for one in found.windows] == [
        ("a", 3, day(5)),
        ("b", 2, day(9)),
    ]


def test_no_home() -> None:
    """Without a conversation of the bot's a message has none: a model here has not seen it."""
    found = settled([], said(5), [here("a", 1, 1, last=1, reason="first_contact")])
    assert [home for _, home in found.stored] == [None]


def test_a_home_that_comes_later() -> None:
    """Messages that were stored without a conversation find it when it comes."""
    messages = said(2, 3)
    found = settle(Person([ANNA], [bot("a", 1)], messages), [], {messages[0].id: Stored(None, messages[0].at)}, NOW)
    assert ([one.id for one, _ in found.placed], [one.id for one, _ in found.stored]) == (
        [messages[0].id],
        [messages[1].id],
    )
    assert found.windows[0].message_count == 2


def test_a_stored_time_stands() -> None:
    """A message that finds its conversation later keeps the time that it was taken for."""
    (message,) = said(9)
    found = settle(Person([ANNA], [bot("a", 1)], [message]), [], {message.id: Stored(None, day(2))}, NOW)
    assert found.windows[0].last_message_at == day(2)


def test_the_window() -> None:
    """The user's last message counts for the window, the bot's does not; what claims to be of the future is now."""
    found = settled([bot("a", 1)], [*said(2), *said(4, by="outbound")]).windows[0]
    assert (found.last_inbound_at, found.last_message_at) == (day(2), day(4))
    late = BotMessage("msg_x", "inbound", "dal futuro", NOW + timedelta(days=400))
    assert settled([bot("a", 1)], [late]).windows[0].last_inbound_at == NOW
    assert settled([bot("a", 1)], said(4, by="outbound")).windows[0].last_inbound_at == day(1)


histories = st.lists(
    st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), st.integers(1, 20)), st.booleans()),
    max_size=4,
    unique_by=lambda one: one[0],
)


@given(histories, st.lists(st.integers(1, 25), max_size=8), st.integers(0, 4), st.integers(0, 8))
def test_every_history(
    conversations: list[tuple[str, int | None, bool]], days: list[int], seen: int, heard: int
) -> None:
    """Whatever a bot has, and whatever part of it was taken before: nothing doubles, at most one is open."""
    everything = [bot(id_, began, is_open=is_open) for id_, began, is_open in conversations]
    messages = [BotMessage(f"msg_{n}", "inbound", "ciao", day(at)) for n, at in enumerate(days)]
    first = settle(Person([ANNA], everything[:seen], messages[:heard]), [], {}, NOW)
    there = {one.id: Stored(home, one.at) for one, home in first.stored}
    for window in first.windows:
        window.is_new = window.is_changed = False
    second = settle(Person([ANNA], everything, messages), first.windows, there, NOW)
    homes = [
        *(home for _, home in second.stored),
        *(home for _, home in second.placed),
        *(one.home for one in there.values() if one.home),
    ]
    assert sum(one.is_active for one in second.windows) <= 1
    assert sorted(one.id for one in second.windows) == sorted(id_ for id_, _, _ in conversations)
    assert len({one.number for one in second.windows}) == len(second.windows)
    assert {one.id for one, _ in second.stored} | there.keys() == {one.id for one in messages}
    assert sum(one.message_count for one in second.windows) == sum(home is not None for home in homes)
    assert all((one.closed_reason is None) == one.is_active for one in second.windows)
    for window in second.windows:
        window.is_new = window.is_changed = False
    now_there = {**there, **{one.id: Stored(home, one.at) for one, home in [*second.stored, *second.placed]}}
    third = settle(Person([ANNA], everything, messages), second.windows, now_there, NOW)
    assert (third.stored, third.placed, [one for one in third.windows if one.is_new or one.is_changed]) == ([], [], [])


def test_reasons_are_words_of_the_contract() -> None:
    """What an adoption writes as a reason is one that the API knows."""
    found = settled([bot("a", 1), bot("b", 2)], [])
    assert {one.created_reason for one in found.windows} == {Reason.IMPORTED}
