"""What windows save, over HTTP: sums that can be checked by hand."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import ModelCall
from convo_service.llm.emulator import Emulator
from tests.conftest import Clock
from tests.gateway import Gateway, assert_problem

INSIDE, OUTSIDE = ("+393331234567", "+393331234568"), ("+393337654321", "+393337654322")


@pytest.fixture
def env() -> dict[str, object]:
    """A rollout to two users."""
    return {
        "openai_model": "gpt-5-mini",
        "instructions": "Sei il bot del molino Brambilla. " * 20,
        "rollout_percent": 0,
        "rollout_users": ",".join(INSIDE),
    }


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A talkative bot."""
    emulator = Emulator(
        model=lambda _request: "La farina tipo 00 da 25 kg costa 21,50 euro al sacco, IVA esclusa. " * 6
    )
    yield emulator
    emulator.close()


async def weeks(gateway: Gateway, clock: Clock) -> None:
    """Everybody writes four messages a week, for four weeks."""
    for _ in range(4):
        for number in range(4):
            for identity in (*INSIDE, *OUTSIDE):
                await gateway.ask(f"Domanda {number} sulla consegna della farina", identity=identity)
            clock.advance(minutes=10)
        clock.advance(days=7)


async def calls(database: Database) -> list[ModelCall]:
    """The ledger."""
    async with database.read.begin() as tx:
        return list(await tx.scalars(sa.select(ModelCall)))


def total(rows: list[ModelCall], column: str) -> Any:
    """A sum, made here."""
    return sum(getattr(row, column) for row in rows)


async def test_savings(gateway: Gateway, clock: Clock, database: Database) -> None:
    """Windows against the holdout, and against the estimate, which for the holdout is what it used."""
    await weeks(gateway, clock)
    found = await gateway.get("/analytics/savings")
    rows = await calls(database)
    window = [row for row in rows if row.cohort == "window"]
    holdout = [row for row in rows if row.cohort == "holdout"]
    assert (found["window"]["users"], found["holdout"]["users"]) == (2, 2)
    for group, mine in (("window", window), ("holdout", holdout)):
        used = found[group]["used"]
        assert (used["replies"], used["uncounted"], used["unpriced"], used["summaries"]) == (32, 0, 0, 0)
        assert used["input_tokens"] == total(mine, "input_tokens")
        assert used["cost_usd"] == pytest.approx(total(mine, "cost_usd"))
        assert used["cached_share"] == pytest.approx(total(mine, "cached_input_tokens") / total(mine, "input_tokens"))
    against = found["against_holdout"]["input_tokens"]
    assert against["saving"]["value"] == pytest.approx(
        1 - total(window, "input_tokens") / total(holdout, "input_tokens")
    )
    assert against["saving"]["low"] <= against["saving"]["value"] <= against["saving"]["high"]
    assert against["saving"]["value"] > 0.3
    baseline = found["against_baseline"]
    assert baseline["baseline_input_tokens"] == pytest.approx(total(holdout, "input_tokens"), rel=0.03)
    assert baseline["saving"] == pytest.approx(against["saving"]["value"], abs=0.03)
    assert all(row.baseline_input_tokens == row.input_tokens for row in holdout)


async def test_breakdowns(gateway: Gateway, clock: Clock) -> None:
    """By length of history, month, day, template and window; each adds up to the whole."""
    await weeks(gateway, clock)
    found = await gateway.get("/analytics/savings")
    assert [one["name"] for one in found["by_history"]] == ["1-50"]
    assert [one["name"] for one in found["by_period"]] == ["2026-03"]
    assert [one["name"] for one in found["by_template"]] == ["-"]
    assert [one["name"] for one in found["by_timeout"]] == ["48"]
    for name in ("by_history", "by_period", "by_template", "by_timeout"):
        assert sum(one["used"]["replies"] for one in found[name]) == 32
    days = (await gateway.get("/analytics/savings", period="day"))["by_period"]
    assert [one["name"] for one in days] == ["2026-03-02", "2026-03-09", "2026-03-16", "2026-03-23"]


async def test_filters(gateway: Gateway, clock: Clock) -> None:
    """A period is a period; what is no time is refused."""
    await gateway.ask("ciao", identity=INSIDE[0])
    between = clock.advance(days=1)
    clock.advance(days=1)
    await gateway.ask("ciao", identity=INSIDE[0])
    for params, replies in (({}, 2), ({"after": between.isoformat()}, 1), ({"before": between.isoformat()}, 1)):
        assert (await gateway.get("/analytics/savings", **params))["window"]["used"]["replies"] == replies
    assert (await gateway.get("/analytics/savings", template="vendite"))["window"]["used"]["replies"] == 0
    assert_problem(await gateway.http.get("/analytics/savings", params={"after": "ieri"}), 422, "invalid_request")


async def test_an_empty_ledger(gateway: Gateway) -> None:
    """Nothing was saved of nothing."""
    found = await gateway.get("/analytics/savings")
    assert (found["window"]["used"]["replies"], found["against_baseline"]["saving"]) == (0, None)
    assert found["against_holdout"]["latency_ms"] == {"window": None, "holdout": None, "saving": None}


async def test_what_a_gateway_reports(gateway: Gateway) -> None:
    """A gateway that asks OpenAI itself is in the same ledger; an unknown model has tokens and no money."""
    got = await gateway.say("ciao", identity=INSIDE[0])
    usage = {"model": "gpt-5-mini", "input_tokens": 1000, "cached_input_tokens": 200, "output_tokens": 100}
    await gateway.reply(got["conversation"]["id"], "Buongiorno", usage=usage)
    await gateway.reply(got["conversation"]["id"], "Eccomi", usage=usage | {"model": "il-nostro"})
    await gateway.reply(got["conversation"]["id"], "Ancora", usage=usage | {"cost_usd": 0.5, "model": "il-nostro"})
    used = (await gateway.get("/analytics/savings"))["window"]["used"]
    assert (used["replies"], used["unpriced"], used["input_tokens"]) == (3, 1, 3000)
    assert used["cost_usd"] == pytest.approx(0.5 + 800 * 2.5e-7 + 200 * 2.5e-8 + 100 * 2e-6)


async def test_a_reported_reply_is_not_part_of_its_own_prompt(gateway: Gateway, database: Database) -> None:
    """In a first conversation an endless one would have sent the same, however long the reply is."""
    got = await gateway.say("ciao", identity=INSIDE[0])
    usage = {"model": "gpt-5-mini", "input_tokens": 100, "output_tokens": 900}
    for number in (1, 2):
        await gateway.reply(got["conversation"]["id"], "Buongiorno a lei. " * 200, usage=usage)
        async with database.read.begin() as tx:
            rows = (await tx.scalars(sa.select(ModelCall).order_by(ModelCall.id))).all()
        assert (rows[-1].baseline_input_tokens, rows[-1].history_messages) == (100, number)


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini"}])
async def test_a_changed_timeout_does_not_reach_back(gateway: Gateway, database: Database) -> None:
    """What was judged under another window stays with it."""
    await gateway.ask("ciao")
    async with database.write.begin() as tx:
        await tx.execute(sa.update(ModelCall).values(timeout_seconds=72 * 3600))
    await gateway.ask("eccomi")
    found = await gateway.get("/analytics/savings")
    assert [(one["name"], one["used"]["replies"]) for one in found["by_timeout"]] == [("48", 1), ("72", 1)]
