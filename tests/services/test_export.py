"""The export: everything, in one document, whatever its size."""

import json
from typing import Any

import pytest
from fastapi import FastAPI

from convo_service.db.models import Base
from convo_service.llm.emulator import Emulator
from convo_service.services import export
from tests.conftest import Clock
from tests.gateway import MARIA, Gateway, assert_problem
from tests.services.test_erasures import WORDS, fill

LUCA = "+393339999999"


def test_every_table_is_in_it() -> None:
    """Each table with a user has its place in the document."""
    tables = {table.name for table in Base.metadata.sorted_tables if "user_id" in table.c}
    beside = {"profiles", "seeds", "erasures"}  # in places of their own; an erasure knows no user who can be exported
    assert tables == {model.__tablename__ for model in export.LISTS.values()} | beside


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini", "summary_min_tokens": 0}])
async def test_all_of_it(gateway: Gateway, clock: Clock, emulator: Emulator) -> None:
    """Every column of every row of hers, and nothing of anybody else's."""
    await gateway.say("Avete il lievito?", identity=LUCA)
    user = await fill(gateway, clock, emulator)
    document = await gateway.get(f"/users/{user}/export")
    assert document["object"] == "user_export"
    assert document["exported_at"] == clock().isoformat().replace("+00:00", "Z")
    counts = {name: len(rows) for name, rows in document.items() if isinstance(rows, list)}
    assert counts == {
        "identities": 2,
        "conversations": 2,
        "messages": 4,
        "notes": 1,
        "summaries": 1,
        "seed_edits": 1,
        "turns": 1,
        "model_calls": 2,
        "openings": 1,
        "merges": 0,
        "active_days": 0,
    }
    text = json.dumps(document)
    assert [word for word in (*WORDS, MARIA, "Maria") if word not in text] == []
    assert "lievito" not in text
    assert LUCA not in text
    for name, model in export.LISTS.items():
        more = {"seed"} if name == "conversations" else set()
        for row in document[name]:
            assert row.keys() == set(model.__table__.columns.keys()) | more
    seeded = [row["seed"]["text"] for row in document["conversations"] if row["seed"]]
    assert any(WORDS[1] in one for one in seeded)
    assert document["imported"] == {"conversations": [], "messages": [], "profiles": []}


async def test_pages(app: FastAPI, gateway: Gateway, clock: Clock) -> None:
    """More rows than one page has come whole, in order, and in pieces."""
    got = await gateway.say("Messaggio")
    user = got["conversation"]["user_id"]
    for number in range(export.AT_ONCE // 20 + 1):
        messages = [{"direction": "outbound", "text": f"Riga {number} {n} \u2028 «è»"} for n in range(20)]
        path = f"/conversations/{got['conversation']['id']}/messages"
        assert (await gateway.http.post(path, json={"messages": messages})).status_code == 201
    document: dict[str, Any] = await gateway.get(f"/users/{user}/export")
    assert len(document["messages"]) == export.AT_ONCE + 21
    ids = [row["id"] for row in document["messages"]]
    assert ids == sorted(ids)
    found = await export.begin(app.state.services.database, clock, user)
    pieces = [piece async for piece in found.pieces()]
    assert json.loads("".join(pieces)) == document
    assert max(map(len, pieces)) < len("".join(pieces)) * 0.98


async def test_nobody(gateway: Gateway) -> None:
    """Whoever is not there is a 404 before the document begins."""
    assert_problem(await gateway.http.get("/users/usr_x/export"), 404, "user_not_found")
