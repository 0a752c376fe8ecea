"""A gateway that never gives up: it repeats the same webhook, to the other replica, until it has an answer."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from tests.chaos.replicas import Replica

GIVES_UP_SECONDS = 180
REPEATS = (409, 503)
PAUSE_SECONDS = 0.2
CONVERSATIONS, TURNS = "/conversations", "/turns"


@dataclass(frozen=True, slots=True)
class Ack:
    """A success that the service has answered: from here on it is a promise."""

    identity: str
    external_id: str
    text: str
    conversation_id: str
    created: bool = False
    duplicate: bool = False
    degraded: bool = False
    appended: bool = False


@dataclass(frozen=True, slots=True)
class Replied:
    """A reply that the service has given: it is the only one that its message ever gets."""

    identity: str
    external_id: str
    text: str
    turn_id: str
    message_id: str
    said: str


@dataclass(slots=True)
class Ledger:
    """All promises, all answers, and what should never have been answered."""

    acks: list[Ack] = field(default_factory=list)
    replies: list[Replied] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)  # of each answer
    repeats: int = 0

    @property
    def slowest(self) -> float:
        """The answer that took longest."""
        return max(self.seconds, default=0.0)

    @property
    def degraded(self) -> int:
        """How many were served with a stale conversation."""
        return sum(ack.degraded for ack in self.acks)

    def note(self, path: str, answer: httpx.Response, seconds: float) -> None:
        """Keep an answer; what a gateway may repeat has to say when."""
        self.statuses[answer.status_code] += 1
        self.seconds.append(seconds)
        if answer.status_code in REPEATS:
            if "retry-after" not in answer.headers:
                self.unexpected.append(f"{answer.status_code} of {path} without Retry-After: {answer.text[:300]}")
        elif not answer.is_success:
            self.unexpected.append(f"{answer.status_code} of {path}: {answer.text[:300]}")


class Gateway:
    """Sends messages to replicas, and keeps the ledger."""

    def __init__(self, http: httpx.AsyncClient, replicas: Sequence[Replica]) -> None:
        self.replicas = replicas
        self.ledger = Ledger()
        self.calm_since = 0.0  # on `time.monotonic()`: nobody gives up in a storm
        self._http = http
        self._ids = count(1)

    def new_id(self) -> str:
        """An id for a new message."""
        return f"wamid.{next(self._ids)}"

    async def say(
        self, identity: str, text: str, *, id_: str | None = None, first: int = 0, sent_at: str | None = None
    ) -> Ack | None:
        """Send an inbound message until it is acknowledged; `first` is the replica that gets it first."""
        body = _message(identity, text, id_ or self.new_id(), sent_at)
        return self._acknowledged(body, await self._send(CONVERSATIONS, body, first))

    async def ask(self, identity: str, text: str, *, id_: str | None = None, first: int = 0) -> Replied | None:
        """Have a message answered, until there is a reply."""
        body = _message(identity, text, id_ or self.new_id(), None)
        return self._replied(body, await self._send(TURNS, body, first))

    async def ask_once(self, replica: Replica, identity: str, text: str, id_: str) -> httpx.Response | None:
        """Ask one single time; None when nothing came back."""
        body = _message(identity, text, id_, None)
        answer = await self._ask(replica, TURNS, body, timeout=120)
        if answer is not None and answer.is_success:
            self._replied(body, answer)
        return answer

    def _replied(self, body: dict[str, Any], answer: httpx.Response | None) -> Replied | None:
        if answer is None:
            return None
        said, message = answer.json(), body["message"]
        reply = Replied(
            body["identity"],
            message["id"],
            message["text"],
            said["id"],
            said["reply"]["message_id"],
            said["reply"]["text"],
        )
        self.ledger.replies.append(reply)
        return reply

    async def settle(self, identity: str, text: str) -> None:
        """Write once more, and again while the answer is a stale conversation: then the rollover is still owed."""
        deadline = time.monotonic() + GIVES_UP_SECONDS
        while (ack := await self.say(identity, text)) is not None and ack.degraded:
            if time.monotonic() > deadline:
                self.ledger.unexpected.append(f"stale conversations for {GIVES_UP_SECONDS} s: {identity}")
                return
            await asyncio.sleep(1)  # as long as OpenAI is not asked because it failed

    async def reply(self, identity: str, conversation_id: str, text: str, *, first: int = 0) -> None:
        """Append what the bot said until it is acknowledged."""
        external_id = self.new_id()
        batch = {"messages": [{"direction": "outbound", "text": text, "id": external_id}]}
        if await self._send(f"/conversations/{conversation_id}/messages", batch, first) is not None:
            self.ledger.acks.append(Ack(identity, external_id, text, conversation_id, appended=True))

    async def once(
        self, replica: Replica, identity: str, text: str, id_: str | None = None, *, sent_at: str | None = None
    ) -> httpx.Response | None:
        """Send a message one single time; None when nothing came back."""
        body = _message(identity, text, id_ or self.new_id(), sent_at)
        answer = await self._ask(replica, CONVERSATIONS, body, timeout=120)
        if answer is not None and answer.is_success:
            self._acknowledged(body, answer)
        return answer

    def _acknowledged(self, body: dict[str, Any], answer: httpx.Response | None) -> Ack | None:
        if answer is None:
            return None
        said, message = answer.json(), body["message"]
        ack = Ack(
            body["identity"],
            message["id"],
            message["text"],
            said["conversation"]["id"],
            created=said["created"],
            duplicate=said["duplicate"],
            degraded=said["degraded"] is not None,
        )
        self.ledger.acks.append(ack)
        return ack

    async def _send(self, path: str, body: dict[str, Any], first: int) -> httpx.Response | None:
        started = time.monotonic()
        for number in count(first):
            answer = await self._ask(self.replicas[number % len(self.replicas)], path, body)
            if answer is not None and answer.status_code not in REPEATS:
                return answer if answer.is_success else None
            if time.monotonic() - max(started, self.calm_since) > GIVES_UP_SECONDS:
                self.ledger.unexpected.append(f"no answer within {GIVES_UP_SECONDS} s: {body}")
                return None
            self.ledger.repeats += 1
            await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError  # count() has no end

    async def _ask(
        self, replica: Replica, path: str, body: dict[str, Any], *, timeout: float = 30
    ) -> httpx.Response | None:
        asked = time.monotonic()
        try:
            answer = await self._http.post(replica.url + path, json=body, timeout=timeout)
        except httpx.TransportError:
            return None
        self.ledger.note(path, answer, time.monotonic() - asked)
        return answer


def _message(identity: str, text: str, id_: str, sent_at: str | None) -> dict[str, Any]:
    message = {"id": id_, "text": text} | ({"sent_at": sent_at} if sent_at else {})
    return {"identity": identity, "message": message}
