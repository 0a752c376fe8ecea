"""The overview and the timeseries, checked against a count by hand of everything that is stored."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import ActiveDay, AnalyticsCount, Conversation, ModelCall
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services import analytics
from convo_service.services.sweep import Sweep
from convo_service.services.tallying import KINDS, Tallying
from convo_service.settings import Settings
from tests.conftest import Clock
from tests.counting import ByHand, answered, everything
from tests.gateway import Gateway, assert_problem

IDENTITIES = [f"+39333000000{number}" for number in range(6)]
START, END = datetime(2026, 3, 18, 9, tzinfo=UTC), datetime(2026, 4, 9, tzinfo=UTC)
ROME = "Europe/Rome"


@pytest.fixture
def env() -> dict[str, object]:
    """Topics, a small cap, a model with a price, and half of the users outside the rollout."""
    return {
        "openai_model": "gpt-5-mini",
        "topics": "explicit",
        "max_conversation_messages": 8,
        "rollout_percent": 0,
        "rollout_users": ",".join(IDENTITIES[:4]),
        "summarize_old_conversations": False,
    }


@pytest.fixture
def clock() -> Clock:
    """Ten days before clocks change in Italy."""
    return Clock(START)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A talkative bot."""
    emulator = Emulator(model=lambda _request: "Certo, la farina costa 21,50 euro al sacco. " * 3)
    yield emulator
    emulator.close()


@pytest.fixture
def tallying(database: Database) -> Tallying:
    """What the worker counts with, when everything that was said has rested; ids have the time of this machine."""
    return Tallying(database, lambda: datetime.now(UTC) + timedelta(minutes=6), ROME)


async def talk(gateway: Gateway, clock: Clock, emulator: Emulator, database: Database, *, seed: int, days: int) -> None:
    """Some days of talk at any hour: short and long, in two topics, with commands, failures and late messages."""
    chance = random.Random(seed)  # noqa: S311 - the same talk every time
    end = clock() + timedelta(days=days)
    while clock() < end:
        identity, topic = chance.choice(IDENTITIES), chance.choice(["general", "general", "ordini"])
        for _ in range(chance.choice([1, 2, 6])):
            what = chance.random()
            if what < 0.05:
                await gateway.say("/new", identity=identity, topic=topic)
            elif what < 0.1:
                emulator.fail_next("responses.create", status=500)
                await gateway.turn("Prezzi?", identity=identity, topic=topic)
            elif what < 0.2:
                await gateway.say("Era prima", identity=identity, topic=topic, at=clock() - timedelta(hours=30))
            elif what < 0.5:
                got = await gateway.say("Ci siete?", identity=identity, topic=topic)
                await gateway.reply(got["conversation"]["id"], "Buongiorno")
            else:
                await gateway.ask("Quanto costa la farina?", identity=identity, topic=topic)
            clock.advance(seconds=chance.randrange(5, 4000))
        clock.advance(hours=chance.choice([1, 3, 20]), minutes=chance.randrange(60))
    async with database.write.begin() as tx:  # no template has a name yet
        some = sa.select(Conversation.id).where(Conversation.number % 3 == 0)
        await tx.execute(sa.update(Conversation).where(Conversation.number % 3 == 0).values(template="vip"))
        await tx.execute(sa.update(ModelCall).where(ModelCall.conversation_id.in_(some)).values(template="vip"))


FILTERS: dict[str, dict[str, str]] = {
    "all": {},
    "a topic": {"topic": "ordini"},
    "a template": {"template": "vip"},
    "the holdout": {"cohort": "holdout"},
    "a topic in the rollout": {"topic": "general", "cohort": "window"},
}
PERIODS = {
    "all": (START - timedelta(days=3), END),
    "a week": (datetime(2026, 3, 25, 23, tzinfo=UTC), datetime(2026, 4, 1, 22, tzinfo=UTC)),
    "some hours": (datetime(2026, 3, 22, 7, tzinfo=UTC), datetime(2026, 3, 22, 20, tzinfo=UTC)),
}


async def assert_right(gateway: Gateway, database: Database) -> None:
    """The service says what a count by hand says, whatever is asked."""
    rows = await everything(database)
    zone = ZoneInfo(ROME)
    for begin, end in PERIODS.values():
        for filters in FILTERS.values():
            period = {"after": begin.isoformat(), "before": end.isoformat(), **filters}
            hand = ByHand(rows, begin, end, zone, **filters)
            body = await gateway.get("/analytics/overview", **period)
            assert answered(body) == hand.overview(), (period, body)
            assert body["is_complete"]
            for interval in ("hour", "day", "week", "month"):
                metrics = ["messages", "conversations_created", "tokens_against_baseline"]
                if interval == "day":
                    metrics += ["conversations_closed", "tokens", "failures"]
                if interval != "hour" and not {"topic", "template"} & filters.keys():
                    metrics.append("active_users")
                for metric in metrics:
                    series = await gateway.get("/analytics/timeseries", metric=metric, interval=interval, **period)
                    found = {one["label"]: one["values"] for one in series["data"]}
                    assert found == hand.over_time(metric, interval), (metric, interval, period)


async def test_counted_by_hand(
    gateway: Gateway, clock: Clock, emulator: Emulator, database: Database, tallying: Tallying, sweep: Sweep
) -> None:
    """Counts are those of a count by hand: when nothing is counted ahead, when some is, when all is, and anew."""
    await talk(gateway, clock, emulator, database, seed=1, days=9)
    await assert_right(gateway, database)
    assert (await tallying.run_once()).keys() == {"messages", "conversations", "calls"}
    await talk(gateway, clock, emulator, database, seed=2, days=11)
    await sweep.run_once()
    await assert_right(gateway, database)
    await tallying.run_once()
    assert await tallying.run_once() == {}
    await assert_right(gateway, database)
    await tallying.rebuild(lambda _total: lambda _count: None)
    await assert_right(gateway, database)


@pytest.fixture
def sweep(database: Database, llm: LLMClient, settings: Settings, clock: Clock) -> Sweep:
    """The worker's sweep."""
    return Sweep(database, llm, settings, clock)


async def test_once_and_once_only(gateway: Gateway, database: Database, tallying: Tallying) -> None:
    """Whoever counts at the same time, and is cut off, counts everything once."""
    for number in range(30):
        await gateway.say("Ciao", identity=IDENTITIES[number % 6])

    async def cut_off() -> None:
        async with database.write.begin() as tx:
            await tx.run_sync(
                lambda session: KINDS["messages"](session.connection(), datetime.now(UTC) + timedelta(hours=1), ROME)
            )
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await cut_off()
    done = await asyncio.gather(*(tallying.run_once() for _ in range(4)))
    assert sum(one["messages"] for one in done) == 30
    async with database.read.begin() as tx:
        total = await tx.scalar(
            sa.select(sa.func.sum(AnalyticsCount.total)).where(
                AnalyticsCount.metric == "messages", AnalyticsCount.span == "day"
            )
        )
    assert total == 30


async def test_nothing_is_counted_that_may_still_be_written(gateway: Gateway, database: Database) -> None:
    """What came in the last minutes is left to the answers."""
    await gateway.say("Ciao")
    worker = Tallying(database, lambda: datetime.now(UTC) + timedelta(minutes=4), ROME)
    assert (await worker.run_once())["messages"] == 0
    assert (await gateway.get("/analytics/overview"))["messages"]["inbound"] == 1


async def test_what_is_erased_stays_counted(
    gateway: Gateway, clock: Clock, database: Database, tallying: Tallying, sweep: Sweep
) -> None:
    """Counts hold no person; the days of one go with her, and a rebuild counts what is left."""
    user = (await gateway.ask("Ciao", identity=IDENTITIES[0]))["conversation"]["user_id"]
    await gateway.ask("Ciao", identity=IDENTITIES[1])
    await tallying.run_once()
    assert (await gateway.get(f"/users/{user}/export"))["active_days"] == [
        {"user_id": user, "day": "2026-03-18", "previous": "0001-01-01", "cohort": "window"}
    ]
    assert (await gateway.http.delete(f"/users/{user}")).status_code == 202
    for _ in range(3):
        await sweep.run_once()
    async with database.read.begin() as tx:
        assert list(await tx.scalars(sa.select(ActiveDay.user_id).where(ActiveDay.user_id == user))) == []
    body = await gateway.get("/analytics/overview")
    assert (body["users"]["active"], body["messages"]["inbound"], body["conversations"]["created"]) == (2, 2, 2)
    await tallying.rebuild(lambda _total: lambda _count: None)
    body = await gateway.get("/analytics/overview")
    assert (body["users"]["active"], body["messages"]["inbound"], body["conversations"]["created"]) == (1, 1, 1)


async def test_who_were_two(gateway: Gateway, clock: Clock, tallying: Tallying) -> None:
    """Whoever is merged was counted as two, and is one from then on."""
    users = [(await gateway.say("Ciao", identity=one))["conversation"]["user_id"] for one in IDENTITIES[:2]]
    await tallying.run_once()
    answer = await gateway.http.post(f"/users/{users[0]}/merge", json={"into": users[1]})
    assert answer.status_code == 200, answer.text
    before = clock.advance(days=1).isoformat()
    for identity in IDENTITIES[:2]:
        await gateway.say("Eccomi", identity=identity)
    for _ in range(2):
        assert (await gateway.get("/analytics/overview", after=before))["users"]["active"] == 1
        await tallying.run_once()


async def test_behind(gateway: Gateway, database: Database) -> None:
    """An answer counts so many rows itself, and says when there are more."""
    for _ in range(3):
        await gateway.say("Ciao")
    async with database.read.begin() as tx:
        assert (await analytics.live(tx, ROME, most=4)).is_complete
        found = await analytics.live(tx, ROME, most=3)
    assert not found.is_complete


async def test_open_issues(gateway: Gateway, clock: Clock) -> None:
    """Open issues are those of now, by age, whatever the period; what is resolved is none."""
    user = (await gateway.say("Ciao"))["conversation"]["user_id"]
    oldest = clock().isoformat().replace("+00:00", "Z")
    said = ((3, "issue"), (0, "preference"), (100, "issue"), (0, "issue"), (0, "issue"))
    for number, (days, kind) in enumerate(said):
        made = await gateway.http.post(f"/users/{user}/notes", json={"kind": kind, "text": f"La fattura {number}"})
        clock.advance(days=days)
    await gateway.http.patch(f"/notes/{made.json()['id']}", json={"status": "resolved"})
    issues = (await gateway.get("/analytics/overview"))["issues"]
    assert (issues["open"], issues["oldest_at"]) == (3, oldest)
    ages = {one["up_to_days"]: one["count"] for one in issues["by_age"]}
    assert ages == {1: 1, 3: 0, 7: 0, 14: 0, 30: 0, 90: 0, None: 2}


async def test_defaults(gateway: Gateway, clock: Clock) -> None:
    """Without a period it is today and the 29 local days before; today's last hour is the one that goes on."""
    await gateway.say("Ciao")
    clock.advance(minutes=90)
    body = await gateway.get("/analytics/overview")
    assert (body["after"], body["before"]) == ("2026-02-16T23:00:00Z", "2026-03-18T11:00:00Z")
    assert (body["time_zone"], body["messages"]["inbound"]) == (ROME, 1)
    series = await gateway.get("/analytics/timeseries", metric="messages")
    assert (len(series["data"]), series["data"][-1]["label"]) == (30, "2026-03-18")
    assert series["data"][-1]["values"] == {"inbound": 1, "outbound": 0}


@pytest.mark.parametrize(
    ("day", "hours"),
    [pytest.param("2026-03-29", 23, id="clocks go forward"), pytest.param("2026-10-25", 25, id="clocks go back")],
)
async def test_summer_time(gateway: Gateway, clock: Clock, tallying: Tallying, day: str, hours: int) -> None:
    """What is said in each hour of a day of 23 or 25 hours is in that day, and nothing else."""
    clock.now = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=ZoneInfo(ROME)).astimezone(UTC)
    clock.advance(minutes=-30)
    for _ in range(hours + 2):
        await gateway.say("Ciao")
        clock.advance(hours=1)
    for _ in range(2):
        series = await gateway.get("/analytics/timeseries", metric="messages", time_zone=ROME)
        found = {one["label"]: one for one in series["data"]}
        assert found[day]["values"]["inbound"] == hours
        began, ended = (datetime.fromisoformat(found[day][name]) for name in ("starts_at", "ends_at"))
        assert (ended - began) / timedelta(hours=1) == hours
        await tallying.run_once()


OVERVIEW, SERIES = "/analytics/overview", "/analytics/timeseries"
YEAR_AGO = "2025-01-01T00:00Z"


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        pytest.param(OVERVIEW, {"time_zone": "Europe/Roma"}, "unknown_time_zone", id="an unknown zone"),
        pytest.param(OVERVIEW, {"time_zone": "../../etc/passwd"}, "unknown_time_zone", id="a zone that is a path"),
        pytest.param(OVERVIEW, {"time_zone": ""}, "unknown_time_zone", id="no zone"),
        pytest.param(OVERVIEW, {"time_zone": "a\x00b"}, "unknown_time_zone", id="NUL in a zone"),
        pytest.param(OVERVIEW, {"after": "ieri"}, "invalid_request", id="no time"),
        pytest.param(OVERVIEW, {"after": "2026-03-01T00:00:00"}, "invalid_request", id="a naive time"),
        pytest.param(
            OVERVIEW,
            {"after": "2026-03-02T00:00Z", "before": "2026-03-01T00:00Z"},
            "invalid_period",
            id="back",
        ),
        pytest.param(
            OVERVIEW, {"after": "2026-03-02T10:10Z", "before": "2026-03-02T10:50Z"}, "invalid_period", id="half"
        ),
        pytest.param(OVERVIEW, {"after": "1970-01-01T00:00:00Z"}, "invalid_period", id="too long"),
        pytest.param(OVERVIEW, {"topic": "Ordini!"}, "invalid_request", id="no topic"),
        pytest.param(OVERVIEW, {"cohort": "nobody"}, "invalid_request", id="no cohort"),
        pytest.param(OVERVIEW, {"colour": "red"}, "invalid_request", id="an unknown parameter"),
        pytest.param(SERIES, {}, "invalid_request", id="no metric"),
        pytest.param(SERIES, {"metric": "beauty"}, "invalid_request", id="an unknown metric"),
        pytest.param(SERIES, {"metric": "messages", "interval": "year"}, "invalid_request", id="an unknown interval"),
        pytest.param(
            SERIES, {"metric": "messages", "interval": "hour", "after": YEAR_AGO}, "invalid_period", id="points"
        ),
        pytest.param(SERIES, {"metric": "active_users", "interval": "hour"}, "not_counted", id="people of an hour"),
        pytest.param(SERIES, {"metric": "active_users", "topic": "ordini"}, "not_counted", id="people of a topic"),
        pytest.param(SERIES, {"metric": "active_users", "time_zone": "UTC"}, "not_counted", id="another zone"),
    ],
)
async def test_bad_input(gateway: Gateway, path: str, params: dict[str, Any], code: str) -> None:
    """A question that nobody can answer is a clear problem."""
    assert_problem(await gateway.http.get(path, params=params), 422, code)
