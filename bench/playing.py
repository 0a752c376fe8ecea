"""A file of messages through the HTTP API as a gateway would send it, and the history as the service tells it."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from bench import reading
from bench.processes import Broken
from bench.reading import Line

Json = dict[str, Any]


class Player:
    """Sends lines as a gateway would and remembers what each request took, in seconds."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._current: dict[str, str] = {}
        self.users: dict[str, str] = {}
        self.took: dict[str, list[float]] = {"stayed": [], "opened": [], "outbound": []}
        self.waits = 0

    async def play(self, lines: Sequence[Line], concurrency: int) -> None:
        """Play all lines; with a concurrency users are dealt to so many lanes, and each stays in its own order."""
        lane = {
            identity: place % concurrency
            for place, identity in enumerate(dict.fromkeys(line.identity for line in lines))
        }
        lanes = [[line for line in lines if lane[line.identity] == number] for number in range(concurrency)]
        await asyncio.gather(*(self._play(one) for one in lanes))

    async def _play(self, lines: Sequence[Line]) -> None:
        for line in lines:
            await (self._hear(line) if line.direction == "inbound" else self._answer(line))

    async def _hear(self, line: Line) -> None:
        message = {"id": line.id, "text": line.text, "sent_at": line.sent_at.isoformat()}
        answer, seconds = await self._post(line, "/conversations", {"identity": line.identity, "message": message})
        got = answer.json()
        if got["duplicate"] or got["degraded"]:
            raise Broken(f"line {line.number}: duplicate={got['duplicate']}, degraded={got['degraded']}")
        self.took["opened" if answer.status_code == httpx.codes.CREATED else "stayed"].append(seconds)
        self._current[line.identity] = got["conversation"]["id"]
        self.users[line.identity] = got["conversation"]["user_id"]

    async def _answer(self, line: Line) -> None:
        message = {"direction": "outbound", "text": line.text, "sent_at": line.sent_at.isoformat()}
        path = f"/conversations/{self._current[line.identity]}/messages"
        _, seconds = await self._post(line, path, {"messages": [message]})
        self.took["outbound"].append(seconds)

    async def _post(self, line: Line, path: str, body: Json) -> tuple[httpx.Response, float]:
        while True:
            begun = time.perf_counter()
            answer = await self._http.post(path, json=body)
            seconds = time.perf_counter() - begun
            if answer.is_success:
                return answer, seconds
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                raise Broken(f"line {line.number}: {line.direction} answered {answer.status_code}: {answer.text}")
            self.waits += 1
            await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))


@dataclass(slots=True)
class History:
    """What the service says it has, by the identities of the file."""

    conversations: dict[str, list[reading.Conversation]]
    stored: dict[str, list[reading.Said]]
    strangers: int


async def read_history(http: httpx.AsyncClient, users: dict[str, str]) -> History:
    """Read every page: the conversations, the thread of each, and the thread of each user."""
    found: dict[str, list[Json]] = defaultdict(list)
    async for one in _pages(http, "/conversations"):
        found[one["user_id"]].append(one)
    history = History({}, {}, strangers=sum(user not in users.values() for user in found))
    for identity, user in users.items():
        chain = _chained(found[user])
        history.conversations[identity] = [await _with_thread(http, one) for one in chain]
        history.stored[identity] = [_said(one) async for one in _pages(http, f"/users/{user}/messages")]
    return history


async def _pages(http: httpx.AsyncClient, path: str) -> AsyncIterator[Json]:
    page: Json = {"has_more": True, "last_id": None}
    while page["has_more"]:
        after = {"after": page["last_id"]} if page["last_id"] else {}
        answer = await http.get(path, params={"limit": 100, **after})
        if not answer.is_success:
            raise Broken(f"GET {path} answered {answer.status_code}: {answer.text}")
        page = answer.json()
        for one in page["data"]:
            yield one


def _chained(conversations: list[Json]) -> list[Json]:
    """Oldest first, each being the parent of the next; what does not hang on the chain is left out, and missed."""
    child = {one["parent_conversation_id"]: one for one in conversations}
    chain: list[Json] = []
    while following := child.pop(chain[-1]["id"] if chain else None, None):
        chain.append(following)
    return chain


async def _with_thread(http: httpx.AsyncClient, one: Json) -> reading.Conversation:
    return reading.Conversation(
        created_at=datetime.fromisoformat(one["created_at"]),
        created_reason=one["created_reason"],
        last_message_at=datetime.fromisoformat(one["last_message_at"]),
        closed_reason=one["closed_reason"],
        is_active=one["is_active"],
        message_count=one["message_count"],
        messages=[_said(message) async for message in _pages(http, f"/conversations/{one['id']}/messages")],
    )


def _said(one: Json) -> reading.Said:
    sent_at = datetime.fromisoformat(one["sent_at"])
    return reading.Said(one["direction"], one["text"], sent_at, one["external_id"], one["late"])
