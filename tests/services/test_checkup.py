"""What `doctor` finds, on both databases and against an OpenAI with faults."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from convo_service.db.engine import Database
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services import checkup
from convo_service.services.checkup import Check
from convo_service.services.checkup_openai import of_openai
from convo_service.services.sweep import Sweep
from convo_service.settings import Settings
from tests.conftest import Clock
from tests.gateway import Gateway

WITH_MODEL = {"openai_model": "gpt-5-mini", "summary_min_tokens": 0, "openai_api_key": SecretStr("sk-x")}


@pytest.fixture
def env() -> dict[str, object]:
    """An installation with a model and a key."""
    return WITH_MODEL


async def look(database: Database, llm: LLMClient, settings: Settings, now: datetime) -> dict[str, Check]:
    """Every check by what it is about."""
    found = [one async for one in checkup.of_database(database, settings, now)]
    found += [one async for one in checkup.of_surroundings(settings)]
    found += [one async for one in of_openai(llm, settings, now)]
    assert all(bool(one.advice) is (one.verdict != "ok") for one in found)
    return {one.about: one for one in found}


async def test_all_is_well(database: Database, llm: LLMClient, settings: Settings, gateway: Gateway) -> None:
    """Nothing is wrong with an installation that has keys, a model, and an OpenAI that answers."""
    found = await look(database, llm, settings, datetime.now(UTC))
    assert {name: one.detail for name, one in found.items() if one.verdict != "ok"} == {}
    assert found["OpenAI"].detail == "the key is taken, gpt-5-mini is there"
    assert found["price"].detail == "of gpt-5-mini is known"
    assert found["summaries"].detail == "by gpt-5-mini, last 24 hours: none"


async def test_a_clock_that_is_wrong(database: Database, llm: LLMClient, settings: Settings, clock: Clock) -> None:
    """Ours and the database's have to agree."""
    assert (await look(database, llm, settings, clock()))["clock"].verdict == "problem"


@pytest.mark.parametrize(
    ("fault", "detail"),
    [
        pytest.param({"status": 401}, "the key is refused (401)", id="key"),
        pytest.param({"status": 404}, "gpt-5-mini is not there", id="model"),
        pytest.param({"status": 500}, "answered 500", id="down"),
        pytest.param({"after": True}, "cannot be reached", id="broken connection"),
    ],
)
async def test_openai(
    database: Database, llm: LLMClient, settings: Settings, emulator: Emulator, fault: dict[str, Any], detail: str
) -> None:
    """A wrong key, a wrong model and an OpenAI that is away are told apart."""
    emulator.fail_next("models.retrieve", **fault)
    found = (await look(database, llm, settings, datetime.now(UTC)))["OpenAI"]
    assert (found.verdict, found.detail) == ("problem", detail)


async def test_nobody_sweeps(
    database: Database, llm: LLMClient, settings: Settings, gateway: Gateway, clock: Clock
) -> None:
    """Conversations that have been due for ten minutes say that no worker runs."""
    await gateway.say("ciao")
    clock.advance(hours=1, minutes=9)
    assert (await look(database, llm, settings, clock()))["worker"].verdict == "ok"
    clock.advance(minutes=1)
    found = (await look(database, llm, settings, clock()))["worker"]
    assert (found.verdict, found.detail[:1]) == ("warning", "1")


async def test_summaries_that_fail(
    database: Database,
    llm: LLMClient,
    settings: Settings,
    gateway: Gateway,
    sweep: Sweep,
    emulator: Emulator,
    clock: Clock,
) -> None:
    """More that were lost than kept are a warning."""
    emulator.reply_next("no JSON")
    await gateway.say("ciao")
    clock.advance(hours=1)
    await sweep.run_once()
    found = (await look(database, llm, settings, clock()))["summaries"]
    assert (found.verdict, found.detail) == ("warning", "by gpt-5-mini, last 24 hours: 1 rejected")
    clock.advance(hours=24)
    assert (await look(database, llm, settings, clock()))["summaries"].verdict == "ok"


@pytest.mark.parametrize(
    ("change", "about", "verdict"),
    [
        pytest.param({"openai_api_key": None}, "OpenAI", "problem", id="no key of OpenAI"),
        pytest.param({"openai_model": None}, "summaries", "warning", id="no model"),
        pytest.param({"summarize_old_conversations": False}, "summaries", "ok", id="no summaries wanted"),
    ],
)
async def test_settings(
    database: Database, llm: LLMClient, settings: Settings, change: dict[str, Any], about: str, verdict: str
) -> None:
    """What is not set is said."""
    changed = settings.model_copy(update=change)
    assert (await look(database, llm, changed, datetime.now(UTC)))[about].verdict == verdict


async def test_nobody_has_a_key(database: Database, llm: LLMClient, settings: Settings) -> None:
    """Without any key nobody can use the service."""
    assert (await look(database, llm, settings, datetime.now(UTC)))["keys"].verdict == "warning"
    bootstrap = settings.model_copy(update={"bootstrap_admin_key": SecretStr("x" * 32)})
    assert (await look(database, llm, bootstrap, datetime.now(UTC)))["keys"].verdict == "ok"


@pytest.mark.parametrize(
    ("revision", "advice"),
    [
        pytest.param("0008", "Run: convo-service migrate", id="older"),
        pytest.param("9999from9998", "Use the version that migrated it, or a newer one", id="too new"),
        pytest.param("9999", "Use the version that migrated it, or a newer one", id="newer"),
    ],
)
async def test_another_revision(
    database: Database, llm: LLMClient, settings: Settings, revision: str, advice: str
) -> None:
    """A database of another version is looked at no further."""
    async with database.write.begin() as tx:
        await tx.execute(sa.text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    found = await look(database, llm, settings, datetime.now(UTC))
    assert (found["database"].verdict, found["database"].advice) == ("problem", advice)
    assert "keys" not in found
