"""The whole way of an attack: it arrives as a message, the window ends, and what OpenAI is given next is judged."""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import httpx
import uvloop

from convo_service.app import create_app
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services.keys import Scope
from convo_service.services.sweep import Sweep
from convo_service.settings import Settings
from tests.attacks.corpora import Attack
from tests.attacks.judging import Customer, Json, plain, violations
from tests.attacks.models import Breaking, Captured
from tests.gateway import Gateway

PASSES = 20
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NEUTRAL = "Buongiorno, quando arriva il nostro ordine di farina?"
REPLY = "Buongiorno, controllo subito."
LISTS = ("topics", "open_issues", "preferences", "facts")
KNOBS = {
    "key_pepper": "pepper",
    "conversation_reserve": 0,
    "summary_min_tokens": 0,
    "summary_tokens": 750,  # a seed as large as one can be
    "rate_limit_per_minute": 1_000_000,
    "worker_enabled": False,
}


class Judged(Protocol):
    """A model that keeps an eye on what it is asked."""

    violations: list[str]

    def __call__(self, request: Json) -> str:
        """Answer a request."""


class Way(NamedTuple):
    """What reads the messages, and how many attacks a user writes: so few that nearly each stands in the seed."""

    model: Callable[[], Judged | None]
    a_user: int
    keeps_schema: bool = False  # else nothing of what it says may be kept


WAYS = {
    "captured model": Way(Captured, 5, keeps_schema=True),  # as many as each of its lists holds
    "schema-breaking model": Way(Breaking, 10),
    "digest": Way(lambda: None, 10),
}


@dataclass(slots=True)
class Tally:
    """What became of the strings on one way."""

    way: str
    strings: Counter[str] = field(default_factory=Counter)  # by source
    refused: int = 0  # at the edge, with a 422
    seeds: int = 0
    reached: int = 0  # strings of which a piece stands in a seed
    kept: int = 0  # statements of a model
    dropped: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


@dataclass
class _Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass(slots=True)
class _User:
    """Who sends a few attacks, and what the service stored of him."""

    number: int
    attacks: Sequence[Attack]
    id: str = ""
    conversation_id: str = ""
    messages: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        return f"+39320{self.number:07}"

    @property
    def profile(self) -> dict[str, str]:
        """One in four has none."""
        email = f"lucia{self.number}@brambilla.example"
        return {"name": "Lucia", "last_name": f"Brambilla {self.number}", "email": email} if self.number % 4 else {}

    @property
    def client(self) -> str:
        """The verified line, as the profile makes it."""
        return "{name} {last_name} ({email})".format(**self.profile) if self.profile else ""


@dataclass
class Campaign:
    """One way, on a database of its own."""

    gateway: Gateway
    emulator: Emulator
    sweep: Sweep
    clock: _Clock
    tally: Tally

    async def run(self, attacks: Iterable[Attack], a_user: int) -> Tally:
        """Send them all, let the model read them, open every next conversation, and judge it."""
        users = list(_users(attacks, a_user))
        for user in users:
            await self._write(user)
        self.clock.now += timedelta(hours=1)
        for _ in range(PASSES):  # a model that takes its time holds everybody up, and some are put off
            if not (await self.sweep.run_once())["skipped"]:
                break
            self.clock.now += timedelta(minutes=10)
        self.clock.now += timedelta(hours=48)
        for user in users:
            await self._come_back(user)
        return self.tally

    async def _write(self, user: _User) -> None:
        """A question, the attacks, and a reply of the bot."""
        self.clock.now += timedelta(seconds=1)
        got = await self.gateway.say(NEUTRAL, identity=user.identity)
        user.id, user.conversation_id = got["conversation"]["user_id"], got["conversation"]["id"]
        user.messages[got["message"]["id"]] = ("inbound", NEUTRAL)
        if user.profile:
            answer = await self.gateway.http.put(f"/users/{user.id}/profile", json=user.profile)
            assert answer.status_code == 200, answer.text
        self.tally.strings.update(attack.source for attack in user.attacks)
        inbound = [{"direction": "inbound", "text": attack.text} for attack in user.attacks]
        reply = {"direction": "outbound", "text": REPLY}
        if not await self._append(user, [*inbound, reply]):
            for one in [*inbound, reply]:  # one was refused, and with it all
                self.tally.refused += not await self._append(user, [one])

    async def _append(self, user: _User, messages: Sequence[Json]) -> bool:
        answer = await self.gateway.http.post(
            f"/conversations/{user.conversation_id}/messages", content=_json(messages), headers=_JSON
        )
        assert answer.status_code in (201, 422), answer.text
        if answer.status_code == 201:
            stored = zip(answer.json()["data"], messages, strict=True)
            user.messages |= {row["id"]: (sent["direction"], sent["text"]) for row, sent in stored}
        return answer.status_code == 201

    async def _come_back(self, user: _User) -> None:
        """After the window: what OpenAI holds of the new conversation is the seed."""
        self.clock.now += timedelta(seconds=1)
        got = await self.gateway.say("Eccomi di nuovo", identity=user.identity)
        assert got["created"], got
        items = self.emulator.items(got["conversation"]["id"])
        customer = Customer(user.client, user.messages, [one async for one in self._statements(user)])
        self.tally.seeds += 1
        self.tally.kept += len(customer.statements)
        self.tally.violations += [f"{why} [{user.attacks}]" for why in violations(items, customer)]
        record = plain(items[-1]["content"][0]["text"]) if items else ""
        self.tally.reached += sum(_is_in(attack.text, record) for attack in user.attacks)

    async def _statements(self, user: _User) -> AsyncIterator[tuple[str, tuple[str, ...]]]:
        for version in await self.gateway.listed(f"/users/{user.id}/summaries"):
            self.tally.dropped.update(version["dropped"] or {})
            for one in [one for kind in LISTS for one in version[kind]]:
                yield one["text"], tuple(one["message_ids"])


@asynccontextmanager
async def campaign(migrated: Path, folder: Path, way: str, model: Judged | None) -> AsyncIterator[Campaign]:
    """The service on a copy of a migrated database, with a model behind its emulator; none: the digest alone."""
    database, emulator, clock = folder / f"{way.replace(' ', '_')}.db", Emulator(model=model), _Clock()
    shutil.copy(migrated, database)
    more: dict[str, Any] = {"openai_model": "attacked" if model else None, "summarize_old_conversations": bool(model)}
    settings = Settings(_env_file=None, **KNOBS, **more, database_url=f"sqlite+aiosqlite:///{database}")  # type: ignore[arg-type]
    llm = LLMClient.against(emulator)
    app = create_app(settings, llm=llm, clock=clock)
    async with app.router.lifespan_context(app):
        services = app.state.services
        _, key = await services.keys.create("attacks", Scope.ADMIN, now=clock())
        transport = httpx.ASGITransport(app=app)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://convo", headers=headers) as http:
            sweep = Sweep(services.database, llm, settings, clock)
            yield Campaign(Gateway(http), emulator, sweep, clock, Tally(way))
    emulator.close()


def played(migrated: Path, folder: Path, name: str, way: Way, attacks: Iterable[Attack]) -> Tally:
    """One way with all strings, on the loop that serves, too."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(migrated, folder, name, way, attacks))


async def run(migrated: Path, folder: Path, name: str, way: Way, attacks: Iterable[Attack]) -> Tally:
    """The same on a loop that runs; what was wrong with the questions to the model counts, too."""
    model = way.model()
    async with campaign(migrated, folder, name, model) as one:
        tally = await one.run(attacks, way.a_user)
    tally.violations += model.violations if model else []
    if tally.kept and not way.keeps_schema:
        tally.violations.append(f"{tally.kept} statements were kept of answers that are no summary")
    return tally


_JSON = {"Content-Type": "application/json"}


def _json(messages: Sequence[Json]) -> str:
    """Escaped, as lone surrogates have no other form."""
    return json.dumps({"messages": messages})


def _users(attacks: Iterable[Attack], a_user: int) -> Iterator[_User]:
    left, number = iter(attacks), 0
    while group := list(islice(left, a_user)):
        number += 1
        yield _User(number, group)


def _is_in(attack: str, record: str) -> bool:
    """Whether a longer word of an attack, or all of a short one, stands in a record."""
    words = [plain(word) for word in attack.split()]
    return any(word in record for word in words if len(word) > 5) or plain(attack) in record
