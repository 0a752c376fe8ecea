"""Metrics: what a story leaves in them, over HTTP, on both databases."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import Database
from convo_service.domain.window import Reason
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services import windows
from convo_service.services.keys import Scope
from convo_service.services.sweep import Sweep
from convo_service.settings import Settings
from tests import metrics
from tests.conftest import MONDAY, Clock
from tests.gateway import Gateway, assert_problem
from tests.metrics import Samples

REASONS = ("first_contact", "idle_timeout", "user_reset", "operator")
ANSWERED = {"openai_model": "gpt-5-mini"}


@pytest.fixture
async def before(app: FastAPI, gateway: Gateway) -> Samples:
    """What the process had counted when the test began: the counters are those of the process."""
    app.state.services.gauges._fresh_seconds = 0  # each reading is a new one
    return await metrics.read(gateway.http)


async def test_windows(gateway: Gateway, clock: Clock, before: Samples) -> None:
    """Conversations count by the reason for which they were opened and closed, seeds by maker, messages by way."""
    await gateway.say("Buongiorno, avete la farina Manitoba?", id="w1")
    await gateway.say("Da 25 kg", id="w2")
    await gateway.say("Da 25 kg", id="w2")
    clock.advance(hours=48)
    await gateway.say("Eccomi")
    await gateway.say("/new")
    now = await metrics.read(gateway.http)
    found = now.since(before)
    opened = [found.of("convo_conversations_opened_total", reason=reason) for reason in REASONS]
    closed = [found.of("convo_conversations_closed_total", reason=reason) for reason in REASONS]
    assert (opened, closed) == ([1, 1, 1, 0], [0, 1, 1, 0])
    assert now.of("convo_conversations_active") == 1
    assert [found.of("convo_messages_total", path=path) for path in ("quick", "long")] == [1, 4]
    assert found.of("convo_duplicates_total") == 1
    assert found.of("convo_seed_tokens_count", generator="none") == 1
    assert found.of("convo_seed_tokens_count", generator="digest") == 2
    assert found.of("convo_seed_tokens_sum", generator="digest") > 10


@pytest.mark.parametrize("env", [ANSWERED])
async def test_turns(gateway: Gateway, emulator: Emulator, clock: Clock, before: Samples) -> None:
    """Turns count by status, tokens by type beside those of one endless conversation, calls by operation and error."""
    for number in range(3):
        turn = await gateway.ask(f"Domanda numero {number}")
        clock.advance(hours=50)
    emulator.fail_next("responses.create", status=500)
    assert_problem(await gateway.turn("Ancora?"), 503, "upstream_unavailable")
    found = (await metrics.read(gateway.http)).since(before)
    assert found.of("convo_turns_total", status="completed") == 3
    assert found.of("convo_turns_total", status="failed", error_type="upstream_unavailable") == 1
    read, endless = (found.of("convo_tokens_total", type=type_) for type_ in ("input", "baseline_input"))
    assert read >= turn["usage"]["input_tokens"] > 0
    assert found.of("convo_tokens_saved") == endless - read
    assert found.of("convo_tokens_total", type="output", kind="reply") > 0
    assert found.of("convo_cost_usd_total", kind="reply") > 0
    asked = {"gen_ai_operation_name": "chat", "gen_ai_request_model": "gpt-5-mini", "gen_ai_provider_name": "openai"}
    assert found.of("gen_ai_client_operation_duration_seconds_count", **asked) == 4
    assert found.of("gen_ai_client_operation_duration_seconds_count", error_type="500") == 1
    assert found.of("gen_ai_client_token_usage_sum", gen_ai_token_type="input") == read
    assert found.of("convo_openai_errors_total", operation="responses.create", error_type="500") == 1


async def test_reported_usage(gateway: Gateway, before: Samples) -> None:
    """What a gateway reports counts as well; the model that it names, which may be any text, is no label."""
    got = await gateway.say("Avete la farina?")
    usage = {"model": "a model of its own", "input_tokens": 900, "output_tokens": 20, "cost_usd": 0.001}
    await gateway.reply(got["conversation"]["id"], "Certo", usage=usage)
    answer = await gateway.http.get("/metrics")
    found = metrics.parsed(answer.text).since(before)
    assert found.of("convo_tokens_total", kind="reported", type="input") == 900
    assert "of its own" not in answer.text


async def test_a_breaker_that_opens(gateway: Gateway, emulator: Emulator, before: Samples) -> None:
    """Calls that a breaker keeps back count as errors, its state is a gauge, and what is owed is one, too."""
    emulator.fail_next("conversations.create", times=5, status=500)
    for number in range(6):
        assert_problem(await gateway.post("Eccomi", identity=f"+3933300000{number}"), 503, "upstream_unavailable")
    now = await metrics.read(gateway.http)
    errors = {
        kind: now.since(before).of("convo_openai_errors_total", error_type=kind) for kind in ("500", "circuit_open")
    }
    assert errors == {"500": 5, "circuit_open": 1}
    assert [now.of("convo_openai_breaker", kind=kind) for kind in ("conversations", "models")] == [2, 0]
    assert now.of("convo_openings_pending") == 6


async def test_the_old_conversation_is_served(
    gateway: Gateway, emulator: Emulator, clock: Clock, before: Samples
) -> None:
    """An answer whose rollover is owed counts."""
    await gateway.say("Buongiorno")
    clock.advance(hours=49)
    emulator.fail_next("conversations.create", status=500)
    assert (await gateway.say("Eccomi"))["degraded"] == "stale_conversation"
    assert (await metrics.read(gateway.http)).since(before).of("convo_degraded_total") == 1


async def test_a_sweep_that_is_late(
    gateway: Gateway, database: Database, llm: LLMClient, settings: Settings, clock: Clock, before: Samples
) -> None:
    """The lag is how long the oldest due conversation has been waiting; a sweep makes it nothing."""
    await gateway.say("Buongiorno")
    assert (await metrics.read(gateway.http)).of("convo_sweep_lag_seconds") == 0
    clock.advance(hours=60)
    lag = (await metrics.read(gateway.http)).of("convo_sweep_lag_seconds")
    assert 12 * 3600 <= lag <= 60 * 3600
    await Sweep(database, llm, settings, clock).run_once()
    now = await metrics.read(gateway.http)
    assert now.of("convo_sweep_lag_seconds") == 0
    assert now.of("convo_conversations_active") == 0
    assert now.since(before).of("convo_conversations_closed_total", reason="idle_timeout") == 1


async def test_an_undone_close_does_not_count(gateway: Gateway, database: Database, before: Samples) -> None:
    """What a transaction did counts when it is committed."""
    got = await gateway.say("Buongiorno")

    async def close(tx: AsyncSession) -> None:
        conversation = await windows.find(tx, got["conversation"]["id"])
        await windows.close(tx, conversation, Reason.OPERATOR, MONDAY, sweep_at=None)

    async with database.write.begin() as tx:
        await close(tx)
        await tx.rollback()
    assert (await metrics.read(gateway.http)).since(before).of("convo_conversations_closed_total") == 0
    async with database.write.begin() as tx:
        await close(tx)
    assert (await metrics.read(gateway.http)).since(before).of("convo_conversations_closed_total") == 1


async def test_requests(gateway: Gateway, before: Samples) -> None:
    """Requests count by the route as it is declared, on the slim way and on the framework's, and by status."""
    await gateway.say("Buongiorno")
    await gateway.say("Eccomi")
    assert (await gateway.http.post("/conversations", json={})).status_code == 422
    assert (await gateway.http.get("/users/+393331234567/messages")).status_code == 404
    assert (await gateway.http.get("/+393331234567")).status_code == 404
    assert (await gateway.http.request("BREW", "/users")).status_code == 405
    found = (await metrics.read(gateway.http)).since(before)

    def count(method: str, route: str, status: int) -> float:
        labels = {"http_request_method": method, "http_route": route, "http_response_status_code": str(status)}
        return found.of("http_server_request_duration_seconds_count", **labels)

    assert [count("POST", "/conversations", status) for status in (200, 201, 422)] == [1, 1, 1]
    assert count("GET", "/users/{user_id}/messages", 404) == 1
    assert count("GET", "", 404) == 1
    assert count("_OTHER", "/users", 405) == 1
    assert found.of("http_server_request_duration_seconds_bucket", http_route="/conversations", le="+Inf") == 3


@pytest.mark.parametrize("scope", list(Scope))
async def test_any_key_may_read(app: FastAPI, http: httpx.AsyncClient, clock: Clock, scope: Scope) -> None:
    """Without a key there is nothing to read, with any there is."""
    assert_problem(await http.get("/metrics"), 401, "invalid_api_key")
    _, key = await app.state.services.keys.create("prometheus", scope, now=clock())
    http.headers["Authorization"] = f"Bearer {key}"
    assert (await metrics.read(http)).of("convo_database_up") == 1


async def test_gauges_are_read_once_in_a_while(app: FastAPI, gateway: Gateway) -> None:
    """Who asks again within seconds gets what was read before."""
    assert (await metrics.read(gateway.http)).of("convo_conversations_active") == 0
    await gateway.say("Buongiorno")
    assert (await metrics.read(gateway.http)).of("convo_conversations_active") == 0
    app.state.services.gauges._read_at -= 11
    assert (await metrics.read(gateway.http)).of("convo_conversations_active") == 1


async def test_a_database_that_is_away(app: FastAPI, gateway: Gateway, before: Samples) -> None:
    """The process's own counters are there all the same, and one gauge says it."""
    services = app.state.services

    class Away:
        def begin(self) -> Any:
            raise ConnectionRefusedError

    services.gauges._database = type("Database", (), {"read": Away()})()
    now = await metrics.read(gateway.http)
    assert now.of("convo_database_up") == 0
    assert now.names >= {"http_server_request_duration_seconds_count", "convo_openai_breaker"}


class _Broken:
    """A quick lane in which something goes wrong."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def run(self, _work: Any) -> Any:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "counted"),
    [
        pytest.param(TimeoutError(), 200, 1, id="a database that does not answer"),
        pytest.param(ConnectionResetError(), 200, 1, id="or is gone"),
        pytest.param(KeyError("users.id"), 500, 0, id="a mistake of ours"),
    ],
)
async def test_what_the_quick_way_hides(
    app: FastAPI, gateway: Gateway, before: Samples, error: Exception, status: int, counted: int
) -> None:
    """A database's fault is counted, and the long way answers; a mistake of the quick way's own is seen."""
    await gateway.say("Buongiorno")
    service = app.state.services.conversations
    lane = service._warm.database.lane
    warm = service._warm
    service._warm = type(warm)(
        database=type("Database", (), {"lane": _Broken(error)})(),
        settings=warm.settings,
        rollout=warm.rollout,
        clock=warm.clock,
    )
    assert lane is not None
    assert (await gateway.post("Eccomi")).status_code == status
    found = (await metrics.read(gateway.http)).since(before)
    assert found.of("convo_quick_failures_total", error_type=type(error).__name__) == counted
