"""What a template does: the window, the cap, the instructions, the model and the seed of conversations, as of then."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from convo_service.app import create_app
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.settings import Settings
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway, assert_problem
from tests.services.test_warm import Watched, warm

__all__ = ["warm"]  # a fixture


@pytest.fixture
def env() -> dict[str, object]:
    """An installation with a model and instructions of its own."""
    return {"openai_model": "gpt-5-mini", "instructions": "Sei il bot del molino.", "max_conversation_messages": 6}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """OpenAI, with a model that says which one was asked."""
    emulator = Emulator(model=lambda request: f"Parola di {request['model']}")
    yield emulator
    emulator.close()


async def template(gateway: Gateway, name: str, **fields: Any) -> None:
    """Write a template, whatever it was before."""
    there = await gateway.http.get(f"/templates/{name}")
    headers = {"if-match": "*"} if there.status_code == 200 else {}
    answer = await gateway.http.put(f"/templates/{name}", json=fields, headers=headers)
    assert answer.status_code in (200, 201), answer.text


async def test_the_callers(gateway: Gateway) -> None:
    """The caller's template is that of the conversation that is opened; one that goes on keeps its own."""
    await template(gateway, "sales", timeout_hours=24)
    first = (await gateway.say("ciao", template="sales"))["conversation"]
    assert (first["template"], first["template_version"]) == ("sales", 1)
    assert first["expires_at"] == "2026-03-03T09:00:00Z"
    await template(gateway, "support")
    for more in ({}, {"template": "support"}, {"template": "sales"}):
        goes_on = (await gateway.say("e poi", **more))["conversation"]
        assert (goes_on["id"], goes_on["template"]) == (first["id"], "sales")
    assert [one["id"] for one in await gateway.listed("/conversations", template="sales")] == [first["id"]]
    assert await gateway.listed("/conversations", template="support") == []


async def test_the_default(gateway: Gateway) -> None:
    """Who names no template gets the one that is called `default`, when there is one."""
    assert (await gateway.say("uno", identity="+390000001"))["conversation"]["template"] is None
    await template(gateway, "default", max_messages=9)
    assert (await gateway.say("due", identity="+390000002"))["conversation"]["template"] == "default"
    await gateway.http.delete("/templates/default")
    assert (await gateway.say("tre", identity="+390000003"))["conversation"]["template"] is None


async def test_unknown(gateway: Gateway) -> None:
    """A template that is not there is a 404 in every room, and the message is not stored."""
    for path in ("/conversations", "/turns", "/turns/stream"):
        body = {"identity": MARIA, "message": {"id": "w1", "text": "ciao"}, "template": "vip"}
        assert_problem(await gateway.http.post(path, json=body), 404, "template_not_found")
    assert await gateway.listed("/users") == []
    user = (await gateway.say("ciao"))["conversation"]["user_id"]
    answer = await gateway.http.get(f"/users/{user}/seed", params={"template": "vip"})
    assert_problem(answer, 404, "template_not_found")


async def test_the_version_stays(gateway: Gateway, clock: Clock, emulator: Emulator) -> None:
    """A conversation keeps window, cap, model and instructions of the version that it was opened with."""
    await template(gateway, "sales", timeout_hours=24, max_messages=4, model="gpt-5", instructions="Prima versione")
    first = await gateway.ask("ciao", template="sales")
    await template(gateway, "sales", timeout_hours=72, max_messages=8, model="gpt-5-nano", instructions="Seconda")
    second = await gateway.ask("e poi", template="sales")
    assert second["conversation"]["id"] == first["conversation"]["id"]
    assert (second["reply"]["text"], second["usage"]["model"]) == ("Parola di gpt-5", "gpt-5")
    assert emulator.requests[-1].body["instructions"] == "Prima versione"
    third = await gateway.ask("ancora", template="sales")  # the fifth message
    assert third["conversation"]["created_reason"] == "message_cap"
    assert third["conversation"]["template_version"] == 2
    assert third["reply"]["text"] == "Parola di gpt-5-nano"
    clock.advance(hours=71)
    assert not (await gateway.ask("quasi", template="sales"))["created"]
    clock.advance(hours=72)
    assert (await gateway.ask("tardi", template="sales"))["conversation"]["created_reason"] == "idle_timeout"


async def test_deleted_meanwhile(gateway: Gateway, emulator: Emulator) -> None:
    """A conversation goes on with its version when the template is gone; the next one has none."""
    await template(gateway, "sales", instructions="Vendi", language="en")
    first = await gateway.ask("ciao", template="sales")
    await gateway.http.delete("/templates/sales")
    assert (await gateway.ask("e poi"))["conversation"]["template"] == "sales"
    assert emulator.requests[-1].body["instructions"] == "Vendi"
    reset = await gateway.ask("/new")
    assert (reset["created"], reset["conversation"]["template"]) == (True, None)
    assert first["conversation"]["id"] != reset["conversation"]["id"]


@pytest.mark.parametrize(
    ("own", "body", "told"),
    [
        pytest.param(None, None, "Sei il bot del molino.", id="the installation's"),
        pytest.param("Vendi.", None, "Vendi.", id="the template's replace them"),
        pytest.param("Vendi.", "In rima.", "In rima.", id="the caller's replace those"),
    ],
)
async def test_instructions(gateway: Gateway, emulator: Emulator, own: str | None, body: str | None, told: str) -> None:
    """Instructions of the body replace the template's, which replace INSTRUCTIONS."""
    await template(gateway, "sales", instructions=own)
    await gateway.ask("ciao", template="sales", instructions=body)
    assert emulator.requests[-1].body["instructions"] == told


class TestWithoutAModel:
    """An installation that has no OPENAI_MODEL."""

    @pytest.fixture
    def env(self) -> dict[str, object]:
        """No model."""
        return {}

    async def test_the_templates_alone(self, gateway: Gateway) -> None:
        """The template's model is enough; without one a turn fails, says why, and its repeat is answered."""
        assert_problem(await gateway.turn("ciao", id="w1"), 503, "model_not_configured")
        assert await gateway.listed("/users") == []
        await template(gateway, "sales", model="gpt-5")
        assert (await gateway.ask("ciao", template="sales"))["reply"]["text"] == "Parola di gpt-5"
        failed = assert_problem(await gateway.turn("ciao", identity="+390000001", id="w2"), 503, "model_not_configured")
        assert (await gateway.get(f"/turns/{failed['turn_id']}"))["error"]["code"] == "model_not_configured"


@pytest.mark.parametrize(
    ("fields", "reply"),
    [
        pytest.param({}, "Va bene, ricominciamo da capo. Come posso aiutarti?", id="the installation's language"),
        pytest.param({"language": "en"}, "All right, let us start afresh. How can I help you?", id="the template's"),
        pytest.param({"language": "en", "command_reply": "Fresh!"}, "Fresh!", id="the template's own words"),
    ],
)
async def test_replies_to_commands(gateway: Gateway, fields: dict[str, Any], reply: str) -> None:
    """What is said to `/new` is the business of the template of the conversation that it opens, also in a turn."""
    await template(gateway, "sales", **fields)
    assert (await gateway.say("/new", template="sales", id="w1"))["reply"] == reply
    assert (await gateway.say("/new", template="sales", id="w1"))["reply"] == reply
    assert (await gateway.ask("/new", template="sales"))["reply"]["text"] == reply
    assert (await gateway.say("/new buongiorno", template="sales"))["reply"] is None


async def test_the_seed(gateway: Gateway, clock: Clock) -> None:
    """A seed speaks the language of its template and holds the sections that it wants."""
    await template(gateway, "english", language="en")
    await template(gateway, "short", seed_sections=["profile", "issues"])
    await template(gateway, "bare", seed_sections=[])
    user = (await gateway.say("Vorrei 25 sacchi di farina Manitoba per venerdì"))["conversation"]["user_id"]
    await gateway.http.put(f"/users/{user}/profile", json={"name": "Lucia"})
    for kind in ("issue", "preference"):
        await gateway.http.post(f"/users/{user}/notes", json={"kind": kind, "text": f"Nota {kind}"})
    clock.advance(days=3)
    preview = await gateway.get(f"/users/{user}/seed", template="english")
    english = (await gateway.say("eccomi", template="english"))["conversation"]
    assert english["seed"]["text"] == preview["text"]
    assert 'Client: "Lucia"' in preview["text"]
    assert "Said earlier" in preview["text"]
    clock.advance(days=3)
    preview = await gateway.get(f"/users/{user}/seed", template="short")
    assert {one["section"] for one in preview["entries"]} == {"profile", "issues"}
    short = (await gateway.say("di nuovo", template="short"))["conversation"]
    assert short["seed"]["text"] == preview["text"] == 'Cliente: "Lucia"\nQuestioni aperte: ["Nota issue"]'
    clock.advance(days=3)
    assert "Manitoba" in (await gateway.say("e ancora"))["conversation"]["seed"]["text"]
    clock.advance(days=3)
    assert (await gateway.say("nudo", template="bare"))["conversation"]["seed"] is None


async def test_a_reset_by_hand(gateway: Gateway) -> None:
    """An operator's reset names no template: the next conversation has that of the one whose place it takes."""
    await template(gateway, "sales")
    user = (await gateway.say("ciao", template="sales"))["conversation"]["user_id"]
    await template(gateway, "sales", language="en")
    reset = await gateway.http.post(f"/users/{user}/reset", json={})
    assert (reset.json()["template"], reset.json()["template_version"]) == ("sales", 2)
    await gateway.http.delete("/templates/sales")
    assert (await gateway.http.post(f"/users/{user}/reset", json={})).json()["template"] is None


async def test_templates_are_warm(gateway: Gateway, warm: Watched, clock: Clock) -> None:
    """A message that names its template, or whose conversation has one, takes the quick lane up to its own cap."""
    await template(gateway, "sales", max_messages=3)
    await template(gateway, "long", max_messages=60)
    for number in range(4):
        await gateway.say(f"messaggio {number}", template="sales")
    assert warm.took == [False, True, True, False]
    warm.took.clear()
    for number in range(9):
        clock.advance(minutes=1)
        await gateway.say(f"messaggio {number}", template="long", identity="+390000002")
    assert warm.took == [False, *[True] * 8]


async def test_analytics(gateway: Gateway, clock: Clock) -> None:
    """The ledger tells templates apart, and can be asked for one alone."""
    await template(gateway, "sales")
    await gateway.ask("ciao", template="sales")
    await gateway.ask("ciao", identity="+390000001")
    found = await gateway.get("/analytics/savings")
    assert [(one["name"], one["used"]["replies"]) for one in found["by_template"]] == [("-", 1), ("sales", 1)]
    assert (await gateway.get("/analytics/savings", template="sales"))["window"]["used"]["replies"] == 1


async def test_another_replica(
    gateway: Gateway, app: FastAPI, settings: Settings, llm: LLMClient, clock: Clock
) -> None:
    """A template that another replica has just made can be named here at once."""
    await gateway.say("ciao", template=None)
    other = create_app(settings, llm=llm, clock=clock, books_every=3600)
    catalogs = other.state.services.catalogs
    assert not await catalogs.knows("sales")
    await template(gateway, "sales")
    assert await catalogs.knows("sales")
    await other.state.services.database.close()
