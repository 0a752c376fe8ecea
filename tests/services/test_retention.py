"""Retention: what is too old goes in the sweep, a little at a time, and what is left still fits together."""

from collections import Counter
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from convo_service.db.engine import Database
from convo_service.db.models import Message, Seed, Summary, Turn, User
from convo_service.llm.emulator import Emulator
from convo_service.services.sweep import Sweep
from convo_service.settings import Settings
from tests.conftest import Clock
from tests.gateway import Gateway, assert_problem
from tests.model import Model
from tests.services.test_upkeep import everything_rested


@pytest.fixture
def clock() -> Clock:
    """Now: messages are found by their ids, which have the time in them."""
    return Clock(datetime.now(UTC).replace(microsecond=0))


async def count(database: Database, model: type[Message | Seed | Summary | Turn]) -> int:
    """How many rows there are."""
    async with database.read.begin() as tx:
        return await tx.scalar(sa.select(sa.func.count()).select_from(model)) or 0


@pytest.mark.parametrize(
    "env", [{"retention_messages_days": 30, "openai_model": "gpt-5-mini", "summarize_old_conversations": False}]
)
async def test_messages(gateway: Gateway, clock: Clock, database: Database, sweep: Sweep) -> None:
    """Old messages go, with their turns and the seeds that rest on them; conversations, counts and new talk stay."""
    first = (await gateway.ask("Vorrei la farina Manitoba", id="w1"))["conversation"]
    clock.advance(days=3)
    second = (await gateway.say("E il lievito?", id="w2"))["conversation"]
    assert "Manitoba" in second["seed"]["text"]
    clock.advance(days=3)
    assert (await gateway.say("Ci siete?", id="w3"))["created"]
    clock.advance(days=25)
    done = await sweep.run_once()
    assert done["messages_expired"] == 2
    assert (await sweep.run_once())["messages_expired"] == 0
    assert (await count(database, Message), await count(database, Turn)) == (2, 0)
    assert (await gateway.get(f"/conversations/{second['id']}"))["seed"] is None
    assert (await gateway.get(f"/conversations/{first['id']}"))["message_count"] == 2
    assert await gateway.listed("/messages", q="manitoba") == []
    new = await gateway.say("Eccomi", id="w4")
    assert (new["created"], new["conversation"]["is_active"]) == (True, True)
    async with database.read.begin() as tx:
        assert (await tx.scalars(sa.select(User.message_count))).one() == 5
    clock.advance(days=40)
    assert (await sweep.run_once())["messages_expired"] == 3
    assert (await gateway.say("Ancora io", id="w5"))["created"]


@pytest.mark.parametrize("env", [{"retention_messages_days": 30}])
async def test_a_message_that_is_waited_for(
    gateway: Gateway, clock: Clock, emulator: Emulator, sweep: Sweep, database: Database
) -> None:
    """A message whose conversation could not be opened yet stays until it is."""
    emulator.fail_next("conversations.create", status=503, times=5)
    assert_problem(await gateway.post("Vorrei la farina", id="w1"), 503, "upstream_unavailable")
    clock.advance(days=31)
    emulator.reset()
    emulator.fail_next("conversations.create", status=503)
    assert "messages_expired" not in await sweep.run_once()
    assert (await sweep.run_once())["opened"] == 1
    assert await count(database, Message) == 0


@pytest.mark.parametrize(
    "env", [{"retention_summaries_days": 30, "openai_model": "gpt-5-mini", "summary_min_tokens": 0}]
)
async def test_summaries(gateway: Gateway, clock: Clock, database: Database, sweep: Sweep, model: Model) -> None:
    """Old versions of summaries go; the seed is made without them."""
    user = (await gateway.say("Vorrei la farina Manitoba"))["conversation"]["user_id"]
    clock.advance(hours=2)
    await sweep.run_once()
    assert await count(database, Summary) == 1
    clock.advance(days=31)
    assert (await sweep.run_once())["summaries_expired"] == 1
    assert await count(database, Summary) == 0
    assert "Manitoba" in (await gateway.get(f"/users/{user}/seed"))["text"]


@pytest.mark.parametrize("env", [{"retention_remotes_days": 30}])
async def test_remotes(gateway: Gateway, clock: Clock, database: Database, emulator: Emulator, sweep: Sweep) -> None:
    """What was closed long ago is deleted at OpenAI, once, stays readable here, and is never handed out again."""
    first = (await gateway.say("Vorrei la farina"))["conversation"]
    clock.advance(days=3)
    second = (await gateway.say("E il lievito?"))["conversation"]
    assert await sweep.run_once() == Counter()
    clock.advance(days=31)
    assert await sweep.run_once() == Counter(closed=1, remotes_released=1)
    await everything_rested(database)
    assert await sweep.run_once() == Counter(remote_deleted=1)
    assert emulator.conversations()[first["id"]]["deleted"]
    assert not emulator.conversations()[second["id"]]["deleted"]
    assert len(await gateway.listed(f"/conversations/{first['id']}/messages")) == 1
    clock.advance(days=31)
    assert await sweep.run_once() == Counter(remotes_released=1)
    emulator.fail_next("conversations.create", status=503)
    assert_problem(await gateway.post("Eccomi", id="w9"), 503, "upstream_unavailable")
    new = await gateway.say("Eccomi", id="w9")
    assert (new["created"], new["conversation"]["parent_conversation_id"]) == (True, second["id"])


async def test_nothing_expires_by_itself(gateway: Gateway, clock: Clock, sweep: Sweep, database: Database) -> None:
    """Without a setting everything is kept."""
    await gateway.say("Vorrei la farina")
    clock.advance(days=5000)
    assert await sweep.run_once() == Counter(closed=1)
    assert await count(database, Message) == 1


def test_too_short() -> None:
    """A message is kept for longer than its webhook may be repeated."""
    with pytest.raises(ValidationError):
        Settings(_env_file=None, retention_messages_days=7)
