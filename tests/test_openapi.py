"""The service keeps what its OpenAPI document promises: schemathesis asks, and the document is the judge.

OPENAPI_EXAMPLES=1000 asks that often per operation, at random; without it a few fixed questions are asked.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis import CheckContext, Response
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.python import asgi
from schemathesis.specs.openapi import checks
from schemathesis.specs.openapi.schemas import OpenApiSchema

from convo_service.app import create_app
from convo_service.domain.identities import normalise
from convo_service.domain.text import clean
from convo_service.errors import InvalidIdentity
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.settings import Settings
from tests.conftest import MONDAY, Clock
from tests.gateway import MARIA
from tests.model import Model

AnyCase: TypeAlias = schemathesis.Case[Any]
Ids: TypeAlias = dict[str, list[str]]

EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "0"))
ASKED = settings(
    max_examples=EXAMPLES or 20,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
KEY = "k" * 32
HEADERS = {"Authorization": f"Bearer {KEY}"}
LUCA = "IT.13491208655302741918"
# A document cannot say these: they are about what is stored, and about the time.
BEYOND_A_DOCUMENT = {
    "invalid_cursor",  # a cursor has to be an id of the list
    "message_id_reused",  # an id that was used before has to come with the same text
    "sent_at_in_future",  # a message is not from the future
    "precondition_failed",  # If-Match has to be the ETag of what is there
    "precondition_required",  # the same
    "unknown_time_zone",  # a zone has to be one
    "invalid_period",  # what begins has to end later, and not too late
    "not_counted",  # users are not counted by everything
}


def made_app(file: Path, emulator: Emulator, clock: Clock) -> FastAPI:
    """The real service, with OpenAI played by the emulator at the wire."""
    return create_app(
        Settings(
            _env_file=None,
            database_url=f"sqlite+aiosqlite:///{file}",
            key_pepper="pepper",
            bootstrap_admin_key=KEY,
            openai_model="gpt-5-mini",
            summary_min_tokens=0,
            max_message_chars=100,  # long texts take long to make
            topics="explicit",
            rate_limit_per_minute=10**9,  # the clock stands still
            user_turns_per_minute=10**9,
            user_resets_per_hour=10**9,
        ),
        llm=LLMClient.against(emulator),
        clock=clock,
    )


@cache
def published() -> dict[str, Any]:
    """The document."""
    return made_app(Path("/nowhere/convo.db"), Emulator(), Clock()).openapi()


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Every operation that is published."""
    paths = published()["paths"]
    return [(method.upper(), path, one) for path, each in paths.items() for method, one in each.items()]


OPERATIONS = operations()
SHAPES = published()["components"]["schemas"]
every_operation = pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[f"{method} {path}" for method, path, _ in OPERATIONS]
)


def is_identity(text: str) -> bool:
    """Whether the domain takes it."""
    try:
        normalise(text)
    except InvalidIdentity:
        return False
    return True


schemathesis.openapi.format(
    "identity",
    st.one_of(
        st.just(MARIA),
        st.from_regex(r"\+?[0-9]{7,15}", fullmatch=True),
        st.from_regex(r"[A-Z]{2}\.[A-Za-z0-9]{1,30}", fullmatch=True),
        st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=128).filter(is_identity),
        st.integers(129, 140).map("x".__mul__),  # for whoever wants one that is too long
    ),
)
_TIMES = st.datetimes(MONDAY.replace(year=1970, tzinfo=None), MONDAY.replace(tzinfo=None), timezones=st.just(UTC))
schemathesis.openapi.format("date-time", _TIMES.map(lambda at: at.isoformat()))


@dataclass(frozen=True)
class Service:
    """The service, and a client with an admin key."""

    app: FastAPI
    client: asgi.ASGIClient

    def ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """Ask for something that has to succeed."""
        answer = self.client.request(method, path, **more)
        assert answer.ok, answer.text
        return dict(answer.json())

    def say(self, number: int, text: str, **more: Any) -> dict[str, Any]:
        """Send one message of Maria's, and return the conversation."""
        body = {"identity": MARIA, "message": {"id": f"wamid.{number}", "text": text}, **more}
        return dict(self.ask("POST", "/conversations", json=body)["conversation"])


@contextmanager
def serving(app: FastAPI) -> Iterator[Service]:
    """The service in schemathesis's event loop; schemathesis ends its lifespan with the test."""
    with asgi.get_client(cast(asgi.ASGIApp, app)) as client:
        client.headers.update(HEADERS)
        yield Service(app, client)


def fill(service: Service, clock: Clock) -> Ids:
    """Two users, three conversations, and all that can hang on them; the ids that are in paths and in lists."""
    first = service.say(1, "Il codice del nostro portone è B472", aliases=[LUCA])
    service.say(2, "Vorrei 25 sacchi di farina Manitoba per venerdì")
    user = f"/users/{first['user_id']}"
    usage = {"model": "gpt-5-mini", "input_tokens": 900, "output_tokens": 20, "cost_usd": 0.001}
    replies = [{"direction": "outbound", "text": "Bene, venerdì alle 8", "usage": usage}]
    service.ask("POST", f"/conversations/{first['id']}/messages", json={"messages": replies})
    service.ask("PUT", f"{user}/profile", json={"name": "Maria", "ragione_sociale": "Panificio Rossi"})
    notes = [
        service.ask("POST", f"{user}/notes", json={"kind": kind, "text": f"Nota di tipo {kind}"})["id"]
        for kind in ("issue", "preference", "note")
    ]
    service.ask("PATCH", f"/notes/{notes[2]}", json={"status": "resolved"})
    clock.advance(days=3)
    second = service.say(3, "Buongiorno, a che punto è l'ordine?")
    for name in ("sales", "support"):
        service.ask("PUT", f"/templates/{name}", json={"instructions": "Rispondi in breve", "language": "it"})
        service.ask("PUT", f"/topics/{name}", json={"description": "prezzo, listino", "template": "sales"})
    other = service.ask("POST", "/conversations", json={"identity": "+390000001", "topic": "vendite"})["conversation"]
    service.ask("POST", f"/conversations/{other['id']}/close")
    seed = service.ask("POST", f"{user}/seed/regenerate")
    entries = [one["id"] for one in seed["entries"] if one["section"] in ("topics", "history")]
    service.ask("PATCH", f"{user}/seed/entries/{entries[-1]}", json={"text": "Portone C999", "pinned": True})
    service.ask("DELETE", f"{user}/seed/entries/{entries[0]}")
    return {
        "user_id": [first["user_id"], other["user_id"]],
        "conversation_id": [first["id"], second["id"], other["id"]],
        "note_id": notes,
        "name": ["sales", "support"],
        "entry_id": entries,
        "message_id": [one["id"] for one in service.ask("GET", f"/conversations/{first['id']}/messages")["data"]],
        "/messages": [one["id"] for one in service.ask("GET", f"/conversations/{first['id']}/messages")["data"]],
        "/notes": notes,
        "/templates": ["sales", "support"],
        "/topics": ["sales", "support"],
        "/summaries": [one["id"] for one in service.ask("GET", f"{user}/summaries")["data"]],
        "/conversations": [first["id"], second["id"], other["id"]],
        "/chain": [first["id"], second["id"]],
        "/users": [first["user_id"], other["user_id"]],
    }


@dataclass(frozen=True)
class World:
    """A filled database, what OpenAI knows of it, and the time."""

    file: Path
    emulator: Emulator
    clock: Clock
    ids: Ids


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[World]:
    """Filled once, over HTTP; each test works on a copy."""
    file = tmp_path_factory.mktemp("filled") / "convo.db"
    shutil.copy(migrated, file)
    summary: dict[str, Sequence[tuple[str, str]]]
    summary = {"topics": [("farina Manitoba", "farina")], "facts": [("Il portone ha il codice B472", "B472")]}
    emulator, clock = Emulator(model=Model(summary=summary)), Clock()
    with serving(made_app(file, emulator, clock)) as service:
        ids = fill(service, clock)
    asgi.shutdown_lifespans()
    assert all(ids.values()), ids
    yield World(file, emulator, clock, ids)
    emulator.close()


@pytest.fixture
def service(tmp_path: Path, world: World) -> Iterator[Service]:
    """The service on a database of its own."""
    file = tmp_path / "convo.db"
    shutil.copy(world.file, file)
    with serving(made_app(file, world.emulator, world.clock)) as service:
        yield service


def with_ids(service: Service, ids: Ids, path: str) -> OpenApiSchema:
    """The document as it is served, with ids that exist: an example of each, and more among what is asked at random."""
    published = service.ask("GET", "/openapi.json")
    known = {f"path.{name}": values for name, values in ids.items()}
    if cursors := ids.get(f"/{path.rsplit('/', 1)[1]}"):
        known |= {"query.after": cursors[:1], "query.before": cursors[-1:]}
    for operation in published["paths"][path].values():
        for parameter in operation.get("parameters", ()):
            if values := known.get(f"{parameter['in']}.{parameter['name']}"):
                parameter["example"] = values[0]
    dictionaries = {name: {"values": values} for name, values in known.items()}
    bound = {name: {"dictionary": name, "probability": 0.8} for name in known}
    return loaded(service.app, published, {"dictionaries": dictionaries, "parameters": bound})


def without_cursors(service: Service) -> OpenApiSchema:
    """The document as it is served, for valid questions: an id that one answer gave is rarely one of the next list."""
    published = service.ask("GET", "/openapi.json")
    for each in published["paths"].values():
        for operation in each.values():
            parameters = operation.get("parameters", [])
            operation["parameters"] = [one for one in parameters if one["name"] not in ("after", "before")]
    return loaded(service.app, published, {"generation": {"mode": "positive"}})


def loaded(app: FastAPI, published: dict[str, Any], config: dict[str, Any]) -> OpenApiSchema:
    """The document in schemathesis's hands."""
    schema = schemathesis.openapi.from_dict(published, config=SchemathesisConfig.from_dict(config))
    schema.app = app
    return schema


def seen(value: object) -> bool:
    """Whether every text of a body holds something that can be seen, which no short pattern can say."""
    if isinstance(value, str):
        return not value or bool(clean(value))
    if isinstance(value, dict):
        return all(map(seen, value.values()))
    return not isinstance(value, list) or all(map(seen, value))


def valid_data_is_taken(ctx: CheckContext, response: Response, case: AnyCase) -> bool | None:
    """Schemathesis's positive_data_acceptance, but for what no document can say."""
    if response.status_code in (412, 428) and response.json()["code"] in BEYOND_A_DOCUMENT:
        return None
    if response.status_code == 422 and (response.json()["code"] in BEYOND_A_DOCUMENT or not seen(case.body)):
        return None
    if str(case.path_parameters.get("entry_id", "")).startswith("note_"):
        return None  # a link put the note of a seed there, against the pattern of the document
    return checks.positive_data_acceptance(ctx, response, case)


def errors_are_problems(ctx: CheckContext, response: Response, case: AnyCase) -> bool | None:
    """Every error is a problem, whatever the method: RFC 9457, with the id of the request."""
    if response.status_code >= 400:
        body = response.json()
        assert response.headers["content-type"] == ["application/problem+json"]
        assert body["status"] == response.status_code
        assert response.headers["x-request-id"] == [body["request_id"]]
    return None


CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
    valid_data_is_taken,
    checks.missing_required_header,
    checks.ignored_auth,
    checks.unsupported_method,
    checks.allow_header_conformance,
    errors_are_problems,
]
STORY_CHECKS = [*CHECKS, checks.ensure_resource_availability]


def without_example(operation: dict[str, Any]) -> list[str]:
    """The schemas of what is sent and answered that nobody can see an example of."""
    good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    contents = [part for one in (operation.get("requestBody", {}), *good) for part in one.get("content", {}).items()]
    missing = []
    for media_type, content in contents:
        shape = content.get("schema", {})
        names = [one.get("$ref", "").rpartition("/")[2] for one in shape.get("anyOf", [shape])]  # of a body, or none
        shown = "example" in content or any("example" in SHAPES.get(name, {}) for name in names)
        if not shown and media_type != "text/event-stream":
            missing.append(names[0] or media_type)
    return missing


@every_operation
def test_is_described(method: str, path: str, operation: dict[str, Any]) -> None:
    """Every operation says what it does, shows it, and says what it answers when something is wrong."""
    where = f"{method} {path}"
    assert operation.get("summary"), f"{where}: give the route a summary=..."
    assert operation.get("description"), f"{where}: give its handler a docstring"
    assert without_example(operation) == [], f"{where}: add these to src/convo_service/schemas/examples.json"
    for status in ("4XX", "5XX"):
        content = operation["responses"][status]["content"]
        assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def ask(case: AnyCase) -> None:
    """Put one question."""
    case.call_and_validate(headers=HEADERS, checks=CHECKS)


@every_operation
def test_operation(service: Service, world: World, method: str, path: str, operation: dict[str, Any]) -> None:
    """Whatever is asked of an operation, the answer is one that the document announces."""
    schema = with_ids(service, world.ids, path)
    # What `schema.parametrize()` does for each operation; for a schema of a fixture it needs a pytest before 9.2.
    test = build_operation_test(
        config=schema.config,
        operation=schema[path][method],
        test_func=ask,
        given_kwargs={},
        feedback=FeedbackSources(),
        explicit_settings=ASKED,
    )
    test()


def test_stories(service: Service, world: World, tmp_path: Path) -> None:
    """What one operation answered serves the next: ids of users, conversations, notes and entries go round."""
    machine: Any = without_cursors(service).as_state_machine()

    class Story(machine):  # type: ignore[misc]
        def setup(self) -> None:
            """Every story begins with the same database, or hypothesis could not tell it again."""
            file = tmp_path / "story.db"
            shutil.copy(world.file, file)
            self.app = made_app(file, world.emulator, world.clock)
            self.app.openapi_schema = service.app.openapi()  # making it anew takes longer than a story

        def teardown(self) -> None:
            asgi.shutdown_lifespans()

        def get_call_kwargs(self, _case: AnyCase) -> dict[str, Any]:
            return {"headers": HEADERS, "app": self.app}

        def validate_response(self, response: Response, case: AnyCase, *_: Any, **sent: Any) -> None:
            case.validate_response(
                response, STORY_CHECKS, headers=HEADERS, transport_kwargs=sent, recorder=self.recorder
            )

    Story.run(settings=settings(ASKED, stateful_step_count=10))
