"""Scopes: every route is called with a key of each, and what comes of it is what the contract publishes."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from convo_service.services.keys import Scope
from tests.conftest import Clock
from tests.gateway import Gateway, assert_problem
from tests.scopes import ALLOWED, OPEN

ROUTES = sorted(ALLOWED)


def operations(app: FastAPI) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """Every route that the app has."""
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield (method.upper(), path), operation


@pytest.fixture
async def keys(app: FastAPI, clock: Clock) -> dict[Scope, dict[str, str]]:
    """What a request with a key of each scope says."""
    made = {scope: await app.state.services.keys.create(scope, scope, now=clock()) for scope in Scope}
    return {scope: {"Authorization": f"Bearer {key}"} for scope, (_, key) in made.items()}


async def test_every_route_and_scope(app: FastAPI, keys: dict[Scope, dict[str, str]], http: httpx.AsyncClient) -> None:
    """Each route lets its scopes pass and refuses the others with 403, before it looks at anything else."""
    published = dict(operations(app))
    assert published.keys() == ALLOWED.keys() | OPEN
    for (method, path), allowed in ALLOWED.items():
        for scope, headers in keys.items():
            answer = await http.request(method, path, headers=headers)
            if scope == Scope.ADMIN or scope in allowed:
                assert answer.status_code not in (401, 403), (scope, method, path)
            else:
                assert_problem(answer, 403, "insufficient_scope")
        assert published[method, path]["security"] == [{"key": [one for one in Scope if one in allowed | {"admin"}]}]


async def test_every_route_needs_a_key(app: FastAPI, http: httpx.AsyncClient) -> None:
    """Without a key each route is a 401, but for the two probes and the document."""
    answers = {route: (await http.request(*route)).status_code for route, _ in operations(app)}
    assert answers == dict.fromkeys(ALLOWED, 401) | dict.fromkeys(OPEN, 200)
    assert (await http.get("/openapi.json")).status_code == 200


UNKNOWN = {
    "{turn_id}": ["turn_nobody", "turn_00000000000000000000000000"],
    "{conversation_id}": ["conv_nobody", "conv_00000000"],
    "{user_id}": ["usr_nobody", "usr_00000000000000000000000000"],
    "{erasure_id}": ["era_nobody", "era_00000000000000000000000000"],
    "{message_id}": ["msg_nobody", "msg_00000000000000000000000000"],
    "{note_id}": ["note_nobody", "note_00000000000000000000000000"],
}
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/conversations/{conversation_id}/messages"): {"messages": [{"direction": "outbound", "text": "Ecco"}]},
    ("POST", "/users/{user_id}/identities"): {"identity": "+390001112223"},
    ("POST", "/users/{user_id}/notes"): {"kind": "issue", "text": "Manca la fattura"},
    ("PATCH", "/messages/{message_id}"): {"text": "Anzi, due"},
    ("PATCH", "/notes/{note_id}"): {"status": "resolved"},
    ("PATCH", "/users/{user_id}/seed/entries/{entry_id}"): {"pinned": True},
    ("PUT", "/users/{user_id}/profile"): {"name": "Lucia"},
    ("POST", "/users/{user_id}/merge"): {"into": "usr_11111111111111111111111111"},
}


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if re.search("{(?!entry|name)", route[1])])
async def test_unknown_ids(gateway: Gateway, method: str, path: str) -> None:
    """An id of another kind, of another installation, and one that was never given out answer alike."""
    first = await gateway.say("Buongiorno")
    named = next(one for one in UNKNOWN if one in path)
    user, conversation = first["conversation"]["user_id"], first["conversation"]["id"]
    foreign = {"{user_id}": conversation, "{conversation_id}": user, "{message_id}": user}
    answers = []
    for id_ in [*UNKNOWN[named], foreign.get(named, first["message"]["id"])]:
        there = path.replace(named, id_).replace("{entry_id}", "seg_0")
        answer = await gateway.http.request(method, there, json=BODIES.get((method, path)))
        assert_problem(answer, 404, answer.json()["code"])
        answers.append({key: value for key, value in answer.json().items() if key not in ("instance", "request_id")})
    assert answers[0] == answers[1] == answers[2]
