"""Somebody who makes people, has them erased, and looks whether anything brings them back."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from tests.chaos import evidence
from tests.chaos.gateway import Gateway
from tests.chaos.leftovers import Leftovers, left_of, leftovers, receipts
from tests.chaos.replicas import Broken, Replica, until
from tests.chaos.world import World

BATCH = 20
TURNS = 3  # of each person: with CAP messages of a conversation the last one rolls over
DONE_SECONDS = 40.0
ACCEPTED, NOBODY, ERASED = 202, 404, 410


@dataclass(slots=True)
class Person:
    """Somebody who is to be forgotten, and a word that nobody else says."""

    identity: str
    word: str
    user_id: str = ""
    said: dict[str, str] = field(default_factory=dict)  # texts by id, of what came before the erasure
    meanwhile: str | None = None  # the id of what came at the same moment
    receipt: str | None = None


class Operator:
    """Keeps a list of everybody who was to be erased."""

    def __init__(self, world: World) -> None:
        self.people: list[Person] = []
        self._world = world
        self._gateway = Gateway(world.http, world.replicas)

    async def meet(self, *, messages: int = 0) -> Person:
        """A person with replies, a rollover with its seed, a profile, and perhaps many messages."""
        who = Person(f"+39360{len(self.people):07}", f"quarzovix{len(self.people):03}x")
        self.people.append(who)
        for number in range(TURNS):
            id_, text = f"wamid.{who.word}.{number}", f"Vorrei il {who.word}, {number}"
            await self._gateway.ask(who.identity, text, id_=id_, first=1)
            who.said[id_] = text
        found = await self._tell("POST", "/users/lookup", {"identity": who.identity})
        who.user_id, conversation = found["id"], found["active_conversations"][0]["id"]
        await self._tell("PUT", f"/users/{who.user_id}/profile", {"name": f"Maria {who.word}"})
        for start in range(0, messages, BATCH):
            batch = [{"direction": "inbound", "text": f"Riga {start + n} del {who.word}"} for n in range(BATCH)]
            await self._tell("POST", f"/conversations/{conversation}/messages", {"messages": batch})
        return who

    async def erase(self, who: Person, first: int = 0) -> None:
        """Ask until it is accepted; whoever got no answer may be told that there is nobody any more."""
        for number in count(first):
            if await self.ask_to_erase(who, self._world.replicas[number % 2]) in (ACCEPTED, NOBODY):
                return
            await asyncio.sleep(0.1)

    async def ask_to_erase(self, who: Person, replica: Replica) -> int | None:
        """Ask one single time; None when nothing came back."""
        try:
            answer = await self._world.http.delete(f"{replica.url}/users/{who.user_id}")
        except httpx.TransportError:
            return None
        if answer.status_code == ACCEPTED:
            who.receipt = answer.json()["id"]
        return answer.status_code

    async def write_meanwhile(self, who: Person, first: int) -> None:
        """What comes at the moment of an erasure is erased, too, or is the first message of somebody new."""
        who.meanwhile = f"wamid.meanwhile.{self.people.index(who)}"  # without her word: it may be somebody new's
        await self._gateway.say(who.identity, "Eccomi", id_=who.meanwhile, first=first)

    async def wait(self, *, garbage: bool = True) -> list[str]:
        """Let garbage rest and the erasures be completed, or only the rows be gone; what is not so in time."""

        async def is_done() -> bool:
            if garbage:
                await evidence.let_rest(self._world.database_url)
                return not await receipts(self._world.database_url, completed=False)
            return all([(await self._receipt(who)).get("rows_left") is False for who in self.people if who.receipt])

        try:
            await until(is_done, "the erasures", DONE_SECONDS)
        except Broken:
            left = await receipts(self._world.database_url, completed=False)
            return [f"{len(left)} erasures came to no end in {DONE_SECONDS:.0f} s"]
        return []

    async def judge(self) -> list[str]:
        """What is left of anybody once all is done, and what came back."""
        wrong = [sentence for who in self.people for sentence in await self._bring_back(who)]
        left = await leftovers(self._world)
        wrong += [sentence for who in self.people for sentence in _left_of(left, who)]
        done = await receipts(self._world.database_url, completed=True)
        wrong += [f"{who.receipt} is no receipt" for who in self.people if who.receipt and who.receipt not in done]
        if len(done) != len(self.people):
            wrong.append(f"{len(self.people)} people have {len(done)} completed receipts")
        return wrong + [one for one in self._gateway.ledger.unexpected if not one.startswith(f"{ERASED} of")]

    async def _bring_back(self, who: Person) -> list[str]:
        """All of her webhooks come again."""
        found = []
        for number, (id_, text) in enumerate(who.said.items()):
            body = {"identity": who.identity, "message": {"id": id_, "text": text}}
            answer = await self._world.http.post(f"{self._world.replicas[number % 2].url}/conversations", json=body)
            if answer.status_code != ERASED:
                found.append(f"the repeat of {id_} was answered with {answer.status_code}")
        return found

    async def _receipt(self, who: Person) -> dict[str, Any]:
        try:
            return await self._tell("GET", f"/erasures/{who.receipt}")
        except httpx.TransportError:
            return {}

    async def _tell(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self._world.http.request(method, self._world.replicas[1].url + path, json=body)
        if not answer.is_success:
            raise Broken(f"{answer.status_code} of {path}: {answer.text[:300]}")
        return dict(answer.json())


def _left_of(left: Leftovers, who: Person) -> Iterator[str]:
    """Under her number there may be somebody new, who has said one thing."""
    yield from left_of(left, (who.user_id, who.word))
    if who.meanwhile is None:
        yield from left_of(left, (who.identity,))
