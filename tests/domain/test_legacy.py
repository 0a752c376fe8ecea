"""The bot's rows made sense of: times, texts, ids, profiles."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convo_service.domain.identities import Identity
from convo_service.domain.ids import new_id
from convo_service.domain.legacy import (
    BotProfile,
    Raw,
    RawMessage,
    RawPerson,
    Reader,
    added,
    merged,
    read_time,
    text_of,
)
from convo_service.domain.tally import REPORT, Count, Tally, report

ROME = ZoneInfo("Europe/Rome")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ANNA = Identity("+393331234567", "phone")


@pytest.mark.parametrize(
    ("raw", "at", "oddity"),
    [
        pytest.param(b"2026-07-01T10:00:00", "2026-07-01T08:00:00", None, id="summer, with a T"),
        pytest.param("2026-01-10 10:00:00", "2026-01-10T09:00:00", None, id="winter, with a space"),
        pytest.param(b"2026-01-10T10:00:00.000123", "2026-01-10T09:00:00.000123", None, id="microseconds"),
        pytest.param(datetime(2026, 1, 10, 10), "2026-01-10T09:00:00", None, id="a driver's own"),  # noqa: DTZ001
        pytest.param(b"2026-10-25T01:59:59", "2026-10-24T23:59:59", None, id="before the hour that comes twice"),
        pytest.param(b"2026-10-25T02:00:00", "2026-10-25T00:00:00", Count.TIMES_TWICE, id="its first second"),
        pytest.param(b"2026-10-25T02:30:00", "2026-10-25T00:30:00", Count.TIMES_TWICE, id="the hour that comes twice"),
        pytest.param(b"2026-10-25T02:59:59.999999", "2026-10-25T00:59:59.999999", Count.TIMES_TWICE, id="its last"),
        pytest.param(b"2026-10-25T03:00:00", "2026-10-25T02:00:00", None, id="after it"),
        pytest.param(b"2026-03-29T01:59:59", "2026-03-29T00:59:59", None, id="before the hour that is left out"),
        pytest.param(b"2026-03-29T02:00:00", "2026-03-29T01:00:00", Count.TIMES_SKIPPED, id="its beginning"),
        pytest.param(b"2026-03-29T02:30:00", "2026-03-29T01:30:00", Count.TIMES_SKIPPED, id="the hour left out"),
        pytest.param(b"2026-03-29T03:00:00", "2026-03-29T01:00:00", None, id="the first after it"),
        pytest.param(b"2026-01-10T10:00:00Z", "2026-01-10T10:00:00", None, id="UTC that says so"),
        pytest.param(b"2026-01-10T10:00:00-05:00", "2026-01-10T15:00:00", None, id="another offset"),
        pytest.param(None, None, Count.TIMES_MISSING, id="none"),
        pytest.param(b"", None, Count.TIMES_MISSING, id="blank"),
        pytest.param(b"ieri", None, Count.TIMES_MISSING, id="words"),
        pytest.param(1764000000, None, Count.TIMES_MISSING, id="a number"),
        pytest.param(b"2026-13-45T00:00:00", None, Count.TIMES_MISSING, id="no such day"),
        pytest.param(b"0001-01-01T00:00:00", None, Count.TIMES_MISSING, id="a year that no database could bear"),
        pytest.param(b"\xff\xfe", None, Count.TIMES_MISSING, id="no text at all"),
    ],
)
def test_times(raw: Raw, at: str | None, oddity: Count | None) -> None:
    """Local times become instants by the rules of their zone, and what is odd is said."""
    read = read_time(raw, ROME)
    assert (read.at, read.oddity) == (at and datetime.fromisoformat(at).replace(tzinfo=UTC), oddity)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2037, 12, 31)))  # noqa: DTZ001 - local times are the matter here
def test_times_by_the_european_rule(local: datetime) -> None:
    """Every local time is what the European rule says, worked out without any table of zones."""
    spring, autumn = (last_sunday(local.year, month) for month in (3, 10))
    if local.year < 1996:  # the autumn was in September until then
        autumn = last_sunday(local.year, 9)
    is_summer = spring + timedelta(hours=3) <= local < autumn + timedelta(hours=3)
    if spring + timedelta(hours=2) <= local < spring + timedelta(hours=3):
        expected = Count.TIMES_SKIPPED
    elif autumn + timedelta(hours=2) <= local < autumn + timedelta(hours=3):
        expected = Count.TIMES_TWICE
    else:
        expected = None
    read = read_time(local.isoformat(), ROME)
    offset = timedelta(hours=2 if is_summer else 1)
    assert (read.at, read.oddity) == ((local - offset).replace(tzinfo=UTC), expected)


def last_sunday(year: int, month: int) -> datetime:
    """Midnight of the last Sunday of March, September or October."""
    last = datetime(year, month, 30 if month == 9 else 31)  # noqa: DTZ001
    return last - timedelta(days=(last.weekday() + 1) % 7)


@pytest.mark.parametrize(
    ("raw", "text", "mended"),
    [
        pytest.param("è qui".encode(), "è qui", False, id="a text"),
        pytest.param(b"citt\xe0", "citt\ufffd", True, id="another encoding"),
        pytest.param("già \ufffd".encode(), "già \ufffd", False, id="mended long ago"),
        pytest.param(b"a\x00b", "ab", True, id="NUL"),
        pytest.param(None, "", False, id="none"),
        pytest.param(7, "7", False, id="a number"),
    ],
)
def test_texts(raw: Raw, text: str, mended: bool) -> None:
    """Whatever stands in a column becomes a text that both databases can store."""
    assert text_of(raw) == (text, mended)


def read(*messages: RawMessage, zone: ZoneInfo = ROME, created_at: Raw = None) -> list[str]:
    """Read one person's messages; returns their ids."""
    raw = RawPerson(ANNA, [(b"conv_1", created_at, None)], messages, [])
    return [message.id for message in Reader(zone, NOW).person(raw).messages]


ROW = (7, b"+393331234567", b"user", b"ciao", b"2026-01-10T10:00:00")


def test_ids_of_messages() -> None:
    """The same row has the same id from every copy and in every zone; another row has another."""
    assert read(ROW) == read(ROW) == read(ROW, zone=ZoneInfo("UTC"))
    others = [
        (8, *ROW[1:]), (7, b"393331234567", *ROW[2:]), (*ROW[:2], b"bot", *ROW[3:]), (*ROW[:3], b"ciao!", ROW[4]),
        (*ROW[:3], None, ROW[4]), (*ROW[:4], b"2026-01-10T10:00:01"),
    ]  # fmt: skip
    ids = [read(other)[0] for other in (ROW, *others)]
    assert len(set(ids)) == len(others) + 1
    assert all(len(one) == len(new_id("msg")) for one in ids)


def test_ids_keep_the_order() -> None:
    """What was said in one second, or without a time, stays in the order of the bot's numbers; else time decides."""
    said = [(n, ROW[1], b"user" if n % 2 else b"bot", b"%d" % n, None if n > 5 else ROW[4]) for n in range(1, 12)]
    ids = read((0, *ROW[1:4], None), *said, (-1, *ROW[1:4], b"2026-01-10T10:00:01"))
    assert ids == sorted(ids)


@pytest.mark.parametrize("number", [None, b"a", 1.5, -1, 2**63 - 1])
def test_ids_of_strange_numbers(number: Raw) -> None:
    """A table whose ids are no numbers has messages all the same."""
    row = (number, *ROW[1:])
    assert len(read(row)[0]) == len(new_id("msg"))


def test_times_before_the_first() -> None:
    """Messages before the first that has a time take that one, or the conversation's beginning if it is earlier."""
    said = [(1, ROW[1], b"user", b"a", None), (2, ROW[1], b"bot", b"b", ROW[4])]
    for created_at, hour in ((None, 9), (b"2026-01-10T08:00:00", 7), (b"2026-01-11T08:00:00", 9)):
        person = Reader(ROME, NOW).person(RawPerson(ANNA, [(b"conv_1", created_at, None)], said, []))
        assert [one.at.hour for one in person.messages] == [hour, 9]


@pytest.mark.parametrize("raw", [b"2030-01-01T10:00:00", b"2026-11-23T13:00:01"])
def test_times_of_the_future(raw: Raw) -> None:
    """A conversation or a profile that claims to be of the future says nothing about when it was; it is counted."""
    person = Reader(ROME, NOW).person(RawPerson(ANNA, [(b"conv_1", raw, None)], [], [(b"Anna", None, None, None, raw)]))
    assert (person.conversations[0].created_at, person.profiles[0].updated_at) == (None, None)
    assert person.conversations[0].oddities == person.profiles[0].oddities == (Count.TIMES_IN_FUTURE,)


@pytest.mark.parametrize(
    ("raw", "is_open"),
    [(None, True), (b"1", True), (b"true", True), (b"0", False), (b"0.0", False), (b"False", False),
     (b"no", False), (b"\x00", False), (b"", False)],
)  # fmt: skip
def test_is_active(raw: Raw, is_open: bool) -> None:
    """A column that is called is_active says no in many ways; where it says nothing, the conversation is open."""
    found = Reader(ROME, NOW).person(RawPerson(ANNA, [(b"conv_1", None, raw)], [], []))
    assert found.conversations[0].is_open is is_open


@pytest.mark.parametrize(
    ("sender", "direction"),
    [(b"user", "inbound"), (b"Assistant", "outbound"), (b"393331234567", "inbound"), (b"+39 333 123 4567", "inbound"),
     (b"+393331234568", "outbound"), (None, "outbound")],
)  # fmt: skip
def test_senders(sender: Raw, direction: str) -> None:
    """The user is called so, or by her number in any spelling."""
    found = Reader(ROME, NOW).person(RawPerson(ANNA, [], [(1, b"+393331234567", sender, b"ciao", ROW[4])], []))
    assert found.messages[0].direction == direction


def test_reading_messages() -> None:
    """A message without a time takes that of the one before; a sender nobody knows is the bot."""
    raw = RawPerson(
        ANNA,
        [(b"conv_1", b"2026-01-10 09:00:00", None)],
        [
            (1, b"+393331234567", b"user", b"primo", None),
            (2, b"+393331234567", b"BOT", b"secondo", b"2026-01-10 10:00:00"),
            (3, b"+393331234567", b"marte", b"terzo", b"boh"),
            (4, b"+393331234567", b"+393331234567", None, b"2027-01-01 00:00:00"),
        ],
        [],
    )
    messages = Reader(ROME, NOW).person(raw).messages
    assert [(one.direction, one.text, f"{one.at:%m-%d %H}", one.oddities) for one in messages] == [
        ("inbound", "primo", "01-10 08", (Count.TIMES_MISSING,)),
        ("outbound", "secondo", "01-10 09", ()),
        ("outbound", "terzo", "01-10 09", (Count.TIMES_MISSING, Count.SENDERS_UNKNOWN)),
        ("inbound", "", "12-31 23", (Count.TIMES_IN_FUTURE, Count.TEXTS_MISSING)),
    ]


@pytest.mark.parametrize(
    ("raw", "taken"),
    [
        pytest.param(b" conv_1 ", ["conv_1"], id="with blanks around"),
        pytest.param(b"", [], id="empty"),
        pytest.param(None, [], id="none"),
        pytest.param(b"conv_\n1", [], id="two lines"),
        pytest.param(b"c" * 129, [], id="too long"),
    ],
)
def test_conversation_ids(raw: Raw, taken: list[str]) -> None:
    """A conversation without an id that could be used is refused, and counted."""
    reader = Reader(ROME, NOW)
    found = reader.person(RawPerson(ANNA, [(raw, None, b"1")], [], [])).conversations
    assert ([one.id for one in found], reader.tally[Count.IDS_REFUSED]) == (taken, 1 - len(taken))


def profile(updated: int | None = None, **fields: str) -> BotProfile:
    """A profile, changed so many days after the first of January."""
    empty = dict.fromkeys(("name", "last_name", "ragione_sociale", "email"))
    at = None if updated is None else datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=updated)
    return BotProfile({**empty, **fields}, at)


def test_merged_profiles() -> None:
    """Of two profiles of one person the newer counts, and the older fills what it leaves open."""
    joined = merged([profile(name="Anna", email="old@example.it"), profile(3, name="Anna Maria")])
    assert joined is not None
    assert (joined.fields["name"], joined.fields["email"]) == ("Anna Maria", "old@example.it")
    assert merged([]) is None


@pytest.mark.parametrize(
    ("known", "given_", "expected"),
    [
        pytest.param(profile(name="Anna"), profile(email="a@b.it"), {"email": "a@b.it"}, id="what is missing"),
        pytest.param(profile(name="Anna"), profile(name="Luisa"), {}, id="of two without a date the first stands"),
        pytest.param(profile(1, name="Anna"), profile(2, name="Luisa"), {"name": "Luisa"}, id="newer"),
        pytest.param(profile(name="Anna"), profile(2, name="Luisa"), {"name": "Luisa"}, id="newer than undated"),
        pytest.param(profile(2), profile(1, name="Anna"), {}, id="emptied here since"),
        pytest.param(profile(2), profile(name="Anna"), {}, id="emptied here, the bot does not know when it knew"),
        pytest.param(profile(1, name="Anna"), profile(2), {}, id="newer, and empty"),
        pytest.param(profile(1, name="Anna"), profile(2, name="Anna"), {}, id="nothing new"),
    ],
)
def test_profiles_that_are_here(known: BotProfile, given_: BotProfile, expected: dict[str, str]) -> None:
    """The bot's profile adds to one that is here, and never undoes what was changed here later."""
    assert added(known, given_) == expected


def test_profiles_that_meet_first() -> None:
    """The first time what is missing is added, whenever either was changed."""
    assert added(profile(2, name="Anna"), profile(1, name="Luisa", email="a@b.it"), first=True) == {"email": "a@b.it"}


def test_profile_fields() -> None:
    """A field is one visible line, or unknown."""
    raw = RawPerson(ANNA, [], [], [(b" Anna\nMaria ", b"", None, b"x" * 300, None)])
    fields = Reader(ROME, NOW).person(raw).profiles[0].fields
    assert list(fields.values()) == ["Anna Maria", None, None, "x" * 200]


def test_report() -> None:
    """Every count has its place in the report; what is nothing is left out."""
    assert {what for counts in REPORT.values() for what in counts} == set(Count)
    lines = report(Tally({Count.MESSAGES: 1234, Count.IDS_TAKEN: 2}))
    assert [line.split() for line in lines[:2]] == [
        ["taken", "1,234", "messages"],
        ["refused", "2", *Count.IDS_TAKEN.split()],
    ]
    assert report(Tally()) == []
