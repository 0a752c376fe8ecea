"""Nothing that a test sends is found where it must not be: in logs, outputs, errors, metrics, spans, or at OpenAI."""

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus

import httpx
import sqlalchemy as sa
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from convo_service.db.models import Message as StoredMessage
from convo_service.db.models import Note, Profile, UserIdentity
from convo_service.llm.emulator import Emulator
from convo_service.settings import Settings
from convo_service.telemetry import configure_logging, prometheus, tracing
from convo_service.telemetry.metrics import METER
from tests.databases import on
from tests.spans import Spans

SECRET_FIELDS = {"identity", "aliases", "text", "name", "last_name", "ragione_sociale", "email", "instructions"}
SECRET_FIELDS |= {"query", "user", "apiKey", "pushName"}  # of Evolution API
PERSONAL = (
    UserIdentity.value, StoredMessage.text, Note.text,
    Profile.name, Profile.last_name, Profile.ragione_sociale, Profile.email,
)  # fmt: skip
LEAST_CHARS = 8  # shorter ones would be found by chance
LEAST_STORED_CHARS = 11
MOST_LOOKED_FOR = 400
BAD = 400
_LABEL = re.compile(r'="((?:[^"\\]|\\.)*)"')
_PHONE = re.compile(r"\+?[\d\s()-]{7,}")


@dataclass
class Canaries:
    """What the test sent that nobody may repeat, and where it was found all the same."""

    sent: set[str] = field(default_factory=set)
    found: list[str] = field(default_factory=list)
    spans: Spans = field(default_factory=Spans)

    def learn(self, headers: dict[bytes, bytes], body: bytes) -> None:
        """Remember the key, the people and the texts of a request."""
        values = [headers.get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ")]
        with suppress(ValueError, RecursionError):  # no JSON: what the service answers to it has its own tests
            values += _secrets(json.loads(body))
        self.sent |= {_as_printed(value) for value in values if len(value) >= LEAST_CHARS}

    def look(self, where: str, text: str) -> None:
        """Note what stands in a text, as it was sent or escaped."""
        self.found += [f"{one!r} in {where}" for one in self.sent if one in text or json.dumps(one)[1:-1] in text]

    def look_at_telemetry(self) -> None:
        """What a collector would get, and the labels of all metrics; their numbers may be anything by chance."""
        for span in self.spans.all:
            self.look("a span", span.told)
        self.look("a label", "\n".join(_LABEL.findall(prometheus.text(METER.instruments))))

    def look_at_openai(self, emulator: Emulator) -> None:
        """The metadata of conversations, which are in nobody's erasure."""
        kept = [conversation["metadata"] for conversation in emulator.conversations().values()]
        self.look("the metadata of a conversation", json.dumps(kept))

    def look_at_files(self, folder: Path) -> None:
        """What processes have written into their logs; of very many texts, some."""
        some = sorted(self.sent)[:: 1 + len(self.sent) // MOST_LOOKED_FOR]
        for log in [file for file in (*folder.glob("*.log"), folder / "log") if file.is_file()]:
            Canaries({*some}, self.found).look(f"the output {log.name}", log.read_text(errors="replace"))

    async def overhear(self, request: httpx.Request) -> None:
        """Learn from what a client sends: one of its `event_hooks`."""
        self.learn({name.lower(): value for name, value in request.headers.raw}, await request.aread())

    def complain(self) -> None:
        """Fail, if anything was found."""
        if self.found:
            raise AssertionError("\n".join(self.found))


class Line:
    """Before OpenAI: the URLs that arrive there stand in logs of proxies, and in OpenAI's own."""

    def __init__(self, openai: ASGIApp) -> None:
        self.urls: set[str] = set()
        self._openai = openai

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on as it is."""
        self.urls.add(f"{unquote(scope['path'])} {unquote_plus(scope.get('query_string', b'').decode())}")
        await self._openai(scope, receive, send)


class Tap:
    """Around the whole app: every request is learnt from, every error looked at, on whatever way they come."""

    def __init__(self, app: ASGIApp, canaries: Canaries) -> None:
        self._app = app
        self._canaries = canaries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on as it is."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, body, status = dict(scope["headers"]), bytearray(), 0

        async def heard() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            if message["type"] == "http.request" and not message.get("more_body"):
                self._canaries.learn(headers, bytes(body))
            return message

        async def said(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            sent = message.get("body", b"")
            if status >= BAD or b"event: error" in sent or scope["path"] == "/metrics":
                self._canaries.learn(headers, b"")
                self._canaries.look(f"an answer {status} of {scope['method']} {scope['path']}", sent.decode())
            await send(message)

        await self._app(scope, heard, said)


@contextmanager
def as_it_was() -> Iterator[None]:
    """However the block configures the logs, it is taken back."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.reset_defaults()


@contextmanager
def watched() -> Iterator[Canaries]:
    """Every line is rendered as a server writes it, at the lowest level, and looked at in the end."""
    root, ours = logging.getLogger(), logging.getLogger("convo_service")
    canaries, lines = Canaries(), io.StringIO()
    with as_it_was():
        before = list(root.handlers)
        configure_logging(format_="json", level="debug")
        handler = root.handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(lines)
        root.handlers[:] = [*before, handler]
        ours.addHandler(handler)  # stays when a test configures the logs anew
        tracing.use(canaries.spans)
        try:
            yield canaries
        finally:
            tracing.use(None)
            ours.removeHandler(handler)
    canaries.look("the log", lines.getvalue())
    canaries.look_at_telemetry()
    canaries.complain()


def stored(settings: Settings) -> Canaries:
    """What an installation knows of people: no command says any of it that was not asked for it."""
    canaries = Canaries()
    if settings.sqlite_file is None or settings.sqlite_file.exists():  # looking for it would make it
        with suppress(sa.exc.SQLAlchemyError, OSError):  # no database, or none that has tables
            canaries.sent = {_as_printed(one) for one in on(settings.database_url, _personal, read_only=True)}
    return canaries


def _personal(connection: sa.Connection) -> set[str]:
    found = (value for column in PERSONAL for value in connection.scalars(sa.select(column).distinct()))
    return {value for value in found if value and len(value) >= LEAST_STORED_CHARS}


def _secrets(value: Any, name: str = "") -> Iterator[str]:
    """Every text in a secret field, at any depth."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _secrets(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _secrets(one, name)
    elif isinstance(value, str) and name in SECRET_FIELDS and not value.startswith("usr_"):
        yield value


def _as_printed(value: str) -> str:
    """A phone number by its digits, however it is written."""
    return re.sub(r"\D", "", value).lstrip("0") if _PHONE.fullmatch(value) else value
