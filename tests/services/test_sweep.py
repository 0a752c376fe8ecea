"""The sweep on a real database: what it closes, when it asks the model, and that it never asks twice."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database, open_database
from convo_service.db.models import Conversation, Seed, Summary
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services.due import MOST_FAILURES
from convo_service.services.sweep import Sweep
from convo_service.settings import Settings
from tests.conftest import MONDAY, Clock
from tests.gateway import MARIA, Gateway
from tests.model import LISTS, Model

WITH_MODEL = {"openai_model": "gpt-test", "summary_min_tokens": 0}
ASKED = "responses.create"


@pytest.fixture
def env() -> dict[str, object]:
    """An installation with a model that reads however short a history is."""
    return WITH_MODEL


async def is_asked(emulator: Emulator, times: int = 1) -> None:
    """Wait until the model has been asked."""
    async with asyncio.timeout(10):
        while emulator.calls[ASKED] < times:  # noqa: ASYNC110 - the emulator has no event for it
            await asyncio.sleep(0.01)


def with_model(**more: object) -> pytest.MarkDecorator:
    """Settings of one test."""
    return pytest.mark.parametrize("env", [{**WITH_MODEL, **more}])


async def summaries(gateway: Gateway, user_id: str) -> list[dict[str, Any]]:
    """Every version, the newest first."""
    return await gateway.listed(f"/users/{user_id}/summaries")


async def test_what_is_over_is_closed(gateway: Gateway, sweep: Sweep, clock: Clock) -> None:
    """At its end, and not a second before; the next message opens one whose reason is the sweep's."""
    first = (await gateway.say("ciao", at=MONDAY))["conversation"]
    clock.advance(hours=48, seconds=-1)
    assert (await sweep.run_once())["closed"] == 0
    clock.advance(seconds=1)
    assert (await sweep.run_once())["closed"] == 1
    closed = await gateway.get(f"/conversations/{first['id']}")
    ended = (MONDAY + timedelta(hours=48)).isoformat().replace("+00:00", "Z")
    assert (closed["is_active"], closed["closed_reason"], closed["closed_at"]) == (False, "idle_timeout", ended)
    assert await sweep.run_once() == Counter()
    clock.advance(hours=1)
    second = (await gateway.say("eccomi"))["conversation"]
    assert (second["created_reason"], second["parent_conversation_id"]) == ("idle_timeout", first["id"])


async def test_a_history_that_is_fed_in_is_not_cut(gateway: Gateway, sweep: Sweep, clock: Clock) -> None:
    """Messages with old times stay in one conversation until the window has passed since they were received, too."""
    old = MONDAY - timedelta(days=300)
    first = (await gateway.say("ciao", at=old))["conversation"]
    clock.advance(hours=47)
    assert (await sweep.run_once())["closed"] == 0
    assert (await gateway.say("ancora", at=old + timedelta(hours=1)))["conversation"]["id"] == first["id"]
    clock.advance(hours=48)
    assert (await sweep.run_once())["closed"] == 1


@with_model(rollout_percent=0)
async def test_the_holdout_has_no_end(gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator) -> None:
    """Who is outside the rollout keeps one conversation, and no model reads it."""
    first = (await gateway.say("ciao"))["conversation"]
    clock.advance(days=30)
    assert await sweep.run_once() == Counter()
    assert (await gateway.say("eccomi"))["conversation"]["id"] == first["id"]
    assert emulator.calls[ASKED] == 0


async def test_a_summary_an_hour_after_the_last_message(
    gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator
) -> None:
    """One call when it is quiet, none while nothing is said, one more after news."""
    got = await gateway.say("ordine 4471")
    clock.advance(minutes=30)
    await gateway.reply(got["conversation"]["id"], "lo controllo")
    clock.advance(minutes=59)
    assert (await sweep.run_once())["kept"] == 0
    clock.advance(minutes=1)
    assert (await sweep.run_once())["kept"] == 1
    for _ in range(3):
        clock.advance(hours=5)
        assert await sweep.run_once() == Counter()
    await gateway.say("e la fattura 88?")
    clock.advance(hours=1)
    assert (await sweep.run_once())["kept"] == 1
    clock.advance(hours=60)
    assert await sweep.run_once() == Counter(closed=1)
    assert emulator.calls[ASKED] == 2
    assert [one["covers"]["count"] for one in await summaries(gateway, got["conversation"]["user_id"])] == [3, 2]


@with_model(max_conversation_messages=10)
async def test_a_summary_near_the_cap(gateway: Gateway, sweep: Sweep, emulator: Emulator, clock: Clock) -> None:
    """In the middle of talk the model reads it shortly before the cap, once, and the rollover asks nobody."""
    for number in range(7):
        got = await gateway.say(f"messaggio {number}")
        assert await sweep.run_once() == Counter()
    await gateway.say("messaggio 7")
    assert await sweep.run_once() == Counter(kept=1)
    await gateway.say("messaggio 8")
    await gateway.say("messaggio 9")
    assert await sweep.run_once() == Counter()
    rolled = (await gateway.say("messaggio 10"))["conversation"]
    assert rolled["created_reason"] == "message_cap"
    assert rolled["parent_conversation_id"] == got["conversation"]["id"]
    assert emulator.calls[ASKED] == 1


@pytest.mark.parametrize(
    "env",
    [
        pytest.param({**WITH_MODEL, "summary_min_tokens": 2000}, id="too little history"),
        pytest.param({**WITH_MODEL, "openai_model": None}, id="no model"),
        pytest.param({**WITH_MODEL, "summarize_old_conversations": False}, id="switched off"),
        pytest.param({**WITH_MODEL, "include_summary": False}, id="no seeds at all"),
        pytest.param({**WITH_MODEL, "user_summaries_per_day": 0}, id="no budget"),
    ],
)
async def test_no_summary(gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator) -> None:
    """Where a summary does not pay or is not wanted nobody is asked, and windows end all the same."""
    await gateway.say("ordine 4471")
    clock.advance(hours=2)
    assert await sweep.run_once() == Counter()
    clock.advance(hours=48)
    assert await sweep.run_once() == Counter(closed=1)
    assert emulator.calls[ASKED] == 0


@with_model(summary_min_tokens=2000)
async def test_enough_history(gateway: Gateway, sweep: Sweep, clock: Clock) -> None:
    """The history of a user is measured over all her conversations."""
    await gateway.say("x" * 4000)
    clock.advance(hours=49)
    assert await sweep.run_once() == Counter(closed=1)
    await gateway.say("y" * 4000)
    clock.advance(hours=1)
    assert await sweep.run_once() == Counter(kept=1)


@with_model(openai_model="gpt-replies", summary_model="gpt-summaries")
async def test_the_model_of_summaries(gateway: Gateway, sweep: Sweep, clock: Clock) -> None:
    """SUMMARY_MODEL goes before OPENAI_MODEL."""
    got = await gateway.say("ordine 4471")
    clock.advance(hours=1)
    await sweep.run_once()
    (one,) = await summaries(gateway, got["conversation"]["user_id"])
    assert one["usage"]["model"] == "gpt-summaries"


@with_model(user_summaries_per_day=2)
async def test_the_budget_of_a_user(gateway: Gateway, sweep: Sweep, clock: Clock) -> None:
    """So many summaries within 24 hours, then the digest has to do; another user has a budget of her own."""
    done: Counter[str] = Counter()
    for _ in range(4):
        await gateway.say("ordine 4471")
        clock.advance(hours=2)
        done += await sweep.run_once()
    assert done == Counter(kept=2)
    await gateway.say("ciao", identity="+393339999999")
    clock.advance(hours=2)
    assert await sweep.run_once() == Counter(kept=1)
    clock.advance(hours=20)
    await gateway.say("ordine 4472")
    clock.advance(hours=1)
    assert await sweep.run_once() == Counter(kept=1)


async def test_the_model_is_away(gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator) -> None:
    """A call that failed costs nothing of the budget and is made up ten minutes later."""
    emulator.fail_next(ASKED, status=503)
    got = await gateway.say("ordine 4471")
    clock.advance(hours=1)
    assert await sweep.run_once() == Counter(failed=1)
    clock.advance(minutes=9)
    assert await sweep.run_once() == Counter()
    clock.advance(minutes=1)
    assert await sweep.run_once() == Counter(kept=1)
    states = [one["state"] for one in await summaries(gateway, got["conversation"]["user_id"])]
    assert states == ["kept", "failed"]


async def test_a_model_that_fails_again_and_again(
    gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator
) -> None:
    """After three failures it is left alone until something new is said."""
    emulator.fail_next(ASKED, status=503, times=4)
    await gateway.say("ordine 4471")
    for _ in range(10):
        clock.advance(hours=1)
        await sweep.run_once()
    assert emulator.calls[ASKED] == 3
    await gateway.say("ordine 4472")
    clock.advance(hours=1)
    assert await sweep.run_once() == Counter(failed=1)
    clock.advance(minutes=10)
    assert await sweep.run_once() == Counter(kept=1)


async def test_a_question_that_is_refused(gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator) -> None:
    """A 400 would be a 400 again: it is not repeated, nor counted as a failure of the model."""
    emulator.fail_next(ASKED, status=400, code="invalid_request_error")
    got = await gateway.say("ordine 4471")
    clock.advance(hours=1)
    assert await sweep.run_once() == Counter(rejected=1)
    clock.advance(hours=2)
    assert await sweep.run_once() == Counter()
    (version,) = await summaries(gateway, got["conversation"]["user_id"])
    assert (version["state"], version["usage"]["input_tokens"]) == ("rejected", 0)


async def test_a_pass_gives_up_on_a_model_that_is_away(
    gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator
) -> None:
    """After some failures the model is left alone until the next pass; windows are closed all the same."""
    emulator.fail_next(ASKED, status=503, times=1000)
    for number in range(20):
        await gateway.say("ciao", identity=f"+39333000{number:04}")
    clock.advance(hours=49)
    done = await sweep.run_once()
    assert done["closed"] == 20
    assert MOST_FAILURES <= done["failed"] <= MOST_FAILURES + 3  # as many as were under way
    assert emulator.calls[ASKED] == done["failed"]
    emulator.reset()
    kept = 0
    for _ in range(3):  # one asks whether the model is back; those who ask in the same moment are told to wait
        clock.advance(minutes=10)
        kept += (await sweep.run_once())["kept"]
    assert kept == 20


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("Il cliente vuole uno sconto.", id="no JSON"),
        pytest.param('{"topics": [{"te', id="cut off"),
        pytest.param('{"topics": []}', id="a list is missing"),
        pytest.param(json.dumps({kind: ["x"] for kind in (*LISTS, "closed")}), id="no ids"),
        pytest.param("null", id="nothing"),
    ],
)
async def test_what_does_not_parse(
    gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator, answer: str
) -> None:
    """It is rejected, never shown, counted in the budget, and not asked again before something new is said."""
    got = await gateway.say("mandate 40 sacchi")
    before = await gateway.get(f"/users/{got['conversation']['user_id']}/seed")
    emulator.reply_next(answer)
    clock.advance(hours=1)
    assert await sweep.run_once() == Counter(rejected=1)
    clock.advance(hours=5)
    assert await sweep.run_once() == Counter()
    assert await gateway.get(f"/users/{got['conversation']['user_id']}/seed") == before
    (version,) = await summaries(gateway, got["conversation"]["user_id"])
    assert (version["state"], version["facts"]) == ("rejected", [])
    assert version["usage"]["input_tokens"] > 0


@pytest.mark.parametrize(
    "output",
    [
        pytest.param({"type": "refusal", "refusal": "no"}, id="refused"),
        pytest.param({"type": "output_text", "text": "{", "annotations": []}, id="incomplete"),
    ],
)
async def test_a_run_that_gave_nothing(
    gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator, output: dict[str, Any]
) -> None:
    """A refusal, or a run that was cut off, leaves the digest."""
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [output]}
    status = "completed" if output["type"] == "refusal" else "incomplete"
    body = {"id": "resp_1", "object": "response", "status": status, "output": [message], "usage": None}
    emulator.fail_next(ASKED, status=200, body=json.dumps(body))
    await gateway.say("ordine 4471")
    clock.advance(hours=1)
    assert await sweep.run_once() == Counter(rejected=1)


@pytest.mark.parametrize("body", [pytest.param("<html>", id="HTML"), pytest.param("{}", id="an empty object")])
async def test_no_answer(gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator, body: str) -> None:
    """200 with what is no response is a failure, and tried again."""
    emulator.fail_next(ASKED, status=200, body=body)
    await gateway.say("ordine 4471")
    clock.advance(hours=1)
    assert await sweep.run_once() == Counter(failed=1)
    clock.advance(minutes=10)
    assert await sweep.run_once() == Counter(kept=1)


@asynccontextmanager
async def replicas(settings: Settings, emulator: Emulator, clock: Clock, count: int) -> AsyncIterator[list[Sweep]]:
    """Workers of other processes, as far as the database can tell: engines of their own."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            database = open_database(settings.database_url)
            stack.push_async_callback(database.close)
            llm = LLMClient.against(emulator)
            stack.push_async_callback(llm.close)
            made.append(Sweep(database, llm, settings, clock))
        yield made


async def test_any_number_of_workers(gateway: Gateway, settings: Settings, emulator: Emulator, clock: Clock) -> None:
    """Six workers at once close each conversation once and ask once for each summary."""
    for number in range(25):
        await gateway.say(f"ordine {number}", identity=f"+39333000{number:04}")
    async with replicas(settings, emulator, clock, 6) as workers:
        clock.advance(hours=1)
        done = await asyncio.gather(*(worker.run_once() for worker in workers))
        assert sum(done, Counter[str]()) == Counter(kept=25)
        clock.advance(hours=48)
        done = await asyncio.gather(*(worker.run_once() for worker in workers))
        assert sum(done, Counter[str]()) == Counter(closed=25)
    assert emulator.calls[ASKED] == 25


async def expire_leases(database: Database) -> None:
    """What ninety seconds of the database's clock do."""
    async with database.write.begin() as tx:
        await tx.execute(sa.update(Summary).values(lease_until=0.0))


async def test_a_worker_that_died_while_it_asked(
    gateway: Gateway, sweep: Sweep, database: Database, clock: Clock, emulator: Emulator, model: Model
) -> None:
    """Its summary is made up by another one; what it brings after all is not taken."""
    got = await gateway.say("mandate 40 sacchi")
    clock.advance(hours=1)
    emulator.fail_next(ASKED, hang=True)
    dying = asyncio.create_task(sweep.run_once())
    await is_asked(emulator)
    assert await sweep.run_once() == Counter()
    dying.cancel()
    clock.advance(minutes=10)
    assert await sweep.run_once() == Counter()  # it may still be asking
    await expire_leases(database)
    clock.advance(minutes=10)
    model.summary = {"facts": [("Servono 40 sacchi", "40 sacchi")]}
    assert await sweep.run_once() == Counter(kept=1)
    states = [one["state"] for one in await summaries(gateway, got["conversation"]["user_id"])]
    assert states == ["kept", "failed"]


@with_model(user_summaries_per_day=1)
async def test_a_worker_that_died_costs_the_user_nothing(
    gateway: Gateway, sweep: Sweep, database: Database, clock: Clock, emulator: Emulator
) -> None:
    """Its claim is no summary, so the budget is whole when it is made up."""
    await gateway.say("mandate 40 sacchi")
    clock.advance(hours=1)
    for _ in range(2):
        emulator.fail_next(ASKED, hang=True)
        before = emulator.calls[ASKED]
        dying = asyncio.create_task(sweep.run_once())
        await is_asked(emulator, before + 1)
        dying.cancel()
        await expire_leases(database)
        clock.advance(minutes=10)
    assert await sweep.run_once() == Counter(kept=1)


async def test_a_conversation_that_is_closed_while_the_model_reads_it(
    gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator
) -> None:
    """When that call fails it is made up, although the conversation was looked at in between."""
    got = await gateway.say("mandate 40 sacchi")
    clock.advance(hours=1)
    emulator.fail_next(ASKED, status=503, delay=1.0)
    slow = asyncio.create_task(sweep.run_once())
    await is_asked(emulator)
    assert (await gateway.http.post(f"/conversations/{got['conversation']['id']}/close")).status_code == 200
    assert await sweep.run_once() == Counter()
    assert await slow == Counter(failed=1)
    clock.advance(minutes=10)
    assert await sweep.run_once() == Counter(kept=1)


async def test_an_answer_that_comes_too_late(
    gateway: Gateway, sweep: Sweep, database: Database, clock: Clock, emulator: Emulator
) -> None:
    """When somebody asked anew meanwhile, the first answer is not kept."""
    got = await gateway.say("mandate 40 sacchi")
    clock.advance(hours=1)
    emulator.fail_next(ASKED, delay=1.0)
    slow = asyncio.create_task(sweep.run_once())
    await is_asked(emulator)
    await expire_leases(database)
    clock.advance(minutes=10)
    assert await sweep.run_once() == Counter(kept=1)
    assert await slow == Counter(late=1)
    states = [one["state"] for one in await summaries(gateway, got["conversation"]["user_id"])]
    assert states == ["kept", "late"]


async def test_one_broken_conversation_does_not_stop_the_others(
    gateway: Gateway, sweep: Sweep, database: Database, clock: Clock
) -> None:
    """What raises is skipped, logged, and looked at again later."""
    broken = (await gateway.say("ciao"))["conversation"]
    clock.advance(hours=50)
    broken = (await gateway.say("ciao"))["conversation"]
    await gateway.say("ciao", identity="+393339999999")
    async with database.write.begin() as tx:
        await tx.execute(sa.update(Seed).values(entries=[{"text": "without a time"}]))
    clock.advance(hours=1)
    assert await sweep.run_once() == Counter(kept=1, skipped=1)
    async with database.read.begin() as tx:
        due = await tx.scalar(sa.select(Conversation.sweep_at).where(Conversation.id == broken["id"]))
    assert due == clock() + timedelta(minutes=10)


async def test_no_model_on_the_users_path(gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator) -> None:
    """Whatever makes the window roll over, the seed is there already: no request of a user asks a model."""
    asked = 0
    for text, hours in [("ordine 4471", 1), ("e la fattura?", 50), ("/new", 1), ("altro", 2), ("ancora", 49)]:
        before = emulator.calls[ASKED]
        await gateway.say(text, identity=MARIA)
        assert emulator.calls[ASKED] == before
        clock.advance(hours=hours)
        asked += (await sweep.run_once())["kept"]
    assert emulator.calls[ASKED] == asked >= 3


async def test_a_closed_conversation_is_served_while_openai_is_away(
    gateway: Gateway, sweep: Sweep, clock: Clock, emulator: Emulator
) -> None:
    """Whether the sweep was there before or not: the old one answers until the new one can be made."""
    first = (await gateway.say("ciao"))["conversation"]
    clock.advance(hours=49)
    assert (await sweep.run_once())["closed"] == 1
    emulator.fail_next("conversations.create", status=503)
    got = await gateway.say("eccomi", id="wamid.again")
    assert (got["conversation"]["id"], got["degraded"]) == (first["id"], "stale_conversation")
    clock.advance(minutes=1)
    rolled = (await gateway.say("ci siete?"))["conversation"]
    assert (rolled["created_reason"], rolled["parent_conversation_id"]) == ("idle_timeout", first["id"])
