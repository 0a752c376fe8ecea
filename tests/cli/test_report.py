"""`convo-service report`: the month in one page, in three forms, with the same figures."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from convo_service.app import create_app
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services.arrivals import Call
from convo_service.services.messages import NewMessage
from convo_service.settings import Settings
from tests.cli.shell import Runner
from tests.conftest import Clock

MARCH = ("report", "--month", "2026-03")


async def talk(database_url: str) -> None:
    """Five turns in March, over three days and two windows."""
    clock, emulator = Clock(), Emulator(model=lambda _request: "La farina costa 21,50 euro al sacco. " * 20)
    settings = Settings(_env_file=None, database_url=database_url, key_pepper="pepper", openai_model="gpt-5-mini")
    app = create_app(settings, llm=LLMClient.against(emulator), clock=clock)
    async with app.router.lifespan_context(app):
        for number, days in enumerate((0, 0, 1, 5, 0)):
            clock.advance(days=days, minutes=1)
            message = NewMessage("inbound", f"Domanda {number}", f"wamid.{number}", None)
            turns = app.state.services.turns
            await turns.finish(await turns.begin(Call("+393331234567", message=message)))
    emulator.close()


@pytest.fixture
def told(run: Runner, database_url: str) -> Runner:
    """A command line on a database with a month of talk."""
    asyncio.run(talk(database_url))
    return Runner(run.folder, {**run.environment, "DATABASE_URL": database_url})


def test_three_forms(told: Runner, tmp_path: Path) -> None:
    """Text, JSON and page say the same."""
    text = told(*MARCH).stdout
    document: dict[str, Any] = json.loads(told(*MARCH, "--json").stdout)
    savings = document["savings"]
    assert (document["users"], document["messages"]) == (1, {"inbound": 5, "outbound": 5})
    assert document["conversations"] == {"first_contact": 1, "idle_timeout": 1}
    used = savings["window"]["used"]
    assert (used["replies"], used["unpriced"]) == (5, 0)
    assert f"5, {used['input_tokens']:,} input tokens, {used['cost_usd']:,.2f} USD" in text
    assert re.search(rf"saved, in input tokens +{savings['against_baseline']['saving']:.0%}\n", text)
    assert [one["name"] for one in document["by_day"]] == ["2026-03-02", "2026-03-03", "2026-03-08"]
    page = tmp_path / "march.html"
    told(*MARCH, "--html", str(page))
    html = page.read_text()
    assert f"{used['input_tokens']:,}" in html
    assert (html.count("<svg"), "http" in html, "src=" in html) == (2, False, False)


def test_an_empty_month(told: Runner) -> None:
    """A month without talk is a sentence, not an error; without a month it is this one."""
    assert "No call of a model was recorded" in told("report", "--month", "2025-01").stdout
    assert "No call of a model was recorded" in told("report").stdout


@pytest.mark.parametrize("month", ["march", "2026-13", "2026-3"])
def test_no_month(told: Runner, month: str) -> None:
    """What is no month is said."""
    done = told("report", "--month", month)
    assert done.returncode == 2
    assert "--month has to be a month such as 2026-03" in done.stderr


def test_a_folder_that_is_not_there(told: Runner, tmp_path: Path) -> None:
    """A page that cannot be written is one line."""
    done = told(*MARCH, "--html", str(tmp_path / "nowhere" / "page.html"))
    assert (done.returncode, done.stderr.count("\n"), "cannot be written" in done.stderr) == (1, 1, True)
