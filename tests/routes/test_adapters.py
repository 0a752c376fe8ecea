"""Evolution API's webhook, as its "Evolution Bot" sends it."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Base
from convo_service.llm.emulator import Emulator
from tests.gateway import Gateway, assert_problem

TOKEN = "B6D711FCDE4D4FD5936544120E713976"
PATH = "/adapters/evolution"


@pytest.fixture
def env() -> dict[str, object]:
    """A model."""
    return {"openai_model": "gpt-5-mini"}


def body(query: Any = "Avete la farina?", **inputs: Any) -> dict[str, Any]:
    """What is posted, the key of the instance with it."""
    known = {
        "sessionId": "clx1", "remoteJid": "393331234567@s.whatsapp.net", "pushName": "Maria Bianchi", "fromMe": False,
        "instanceName": "negozio", "serverUrl": "https://evolution.example", "apiKey": TOKEN,
    }  # fmt: skip
    return {"inputs": {**known, **inputs}, "query": query, "user": "393331234567@s.whatsapp.net"}


async def rows(database: Database) -> str:
    """Everything that is stored, as text."""
    async with database.read.begin() as tx:
        found = [(await tx.execute(sa.select(table))).all() for table in Base.metadata.sorted_tables]
    return str(found)


async def test_a_message(gateway: Gateway, emulator: Emulator, database: Database) -> None:
    """It is a turn of the user with this number; the key of the instance is stored nowhere and goes to nobody."""
    answer = await gateway.http.post(PATH, json=body())
    assert answer.status_code == 200
    (said, reply) = await gateway.listed(f"/users/{await user_of(gateway)}/messages")
    assert (said["text"], said["direction"]) == ("Avete la farina?", "inbound")
    assert answer.json() == {"message": reply["text"]}
    assert TOKEN not in await rows(database)
    assert TOKEN not in json.dumps([one.body for one in emulator.requests])


async def user_of(gateway: Gateway) -> str:
    """Maria, by her number."""
    answer = await gateway.http.post("/users/lookup", json={"identity": "+39 333 123 4567"})
    return str(answer.json()["id"])


async def test_each_call_is_a_message(gateway: Gateway) -> None:
    """There is no id to tell a repeat by: who says the same twice is answered twice."""
    for _ in range(2):
        assert (await gateway.http.post(PATH, json=body("ok"))).json()["message"]
    assert len(await gateway.listed(f"/users/{await user_of(gateway)}/messages")) == 4


async def test_when_there_is_nothing_to_say(gateway: Gateway, emulator: Emulator) -> None:
    """In a pause, and to what the business wrote itself, the message is empty, and nothing is sent."""
    await gateway.http.post(PATH, json=body())
    user = await user_of(gateway)
    await gateway.http.put(f"/users/{user}/pause")
    emulator.reset()
    assert (await gateway.http.post(PATH, json=body("C'è qualcuno?"))).json() == {"message": ""}
    assert (await gateway.http.post(PATH, json=body("Sono Marco", fromMe=True))).json() == {"message": ""}
    assert [one["text"] for one in await gateway.listed(f"/users/{user}/messages")][-1] == "C'è qualcuno?"
    assert emulator.calls == {}


async def test_a_new_conversation(gateway: Gateway) -> None:
    """`/new` has its fixed reply."""
    assert "ricominciamo" in (await gateway.http.post(PATH, json=body("/new"))).json()["message"]


async def test_an_absent_model(gateway: Gateway, emulator: Emulator) -> None:
    """It is a problem, and the message is kept."""
    emulator.fail_next("*", status=500, times=9)
    assert_problem(await gateway.http.post(PATH, json=body()), 503, "upstream_unavailable")
    assert len(await gateway.listed(f"/users/{await user_of(gateway)}/messages")) == 1


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"user": "393331234567@s.whatsapp.net"}, id="no query"),
        pytest.param({"query": "ciao a tutti"}, id="no user"),
        pytest.param(body(""), id="an empty query"),
        pytest.param(body(45.5), id="a place"),
        pytest.param(body("x" * 8001), id="too long"),
        pytest.param(body("a\x00b"), id="NUL"),
        pytest.param({**body(), "user": ""}, id="an empty user"),
        pytest.param({**body(), "user": 39333}, id="a user that is a number"),
        pytest.param({**body(), "inputs": TOKEN}, id="inputs that are a text"),
        pytest.param({**body(), "inputs": [TOKEN]}, id="inputs that are a list"),
        pytest.param(body(fromMe=TOKEN), id="a truth that is a key"),
        pytest.param([body()], id="a list"),
    ],
)
async def test_bad_input(gateway: Gateway, database: Database, given: Any) -> None:
    """It is a 422 that repeats nothing of it, least of all the key; and nothing is stored."""
    answer = await gateway.http.post(PATH, json=given)
    assert_problem(answer, 422, "invalid_request")
    assert TOKEN not in answer.text
    assert TOKEN not in await rows(database)
