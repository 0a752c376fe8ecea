"""Late, repeated and shuffled messages, with and without OpenAI, against a model of the contract: no difference.

`WINDOW_SEQUENCES=2000 pytest tests/test_window_machine.py` is the long run, of other sequences each time.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any, TypeVar

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from pydantic import SecretStr

from convo_service.app import create_app
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services.keys import Scope
from convo_service.services.sweep import Sweep
from convo_service.settings import Settings
from tests.conftest import MONDAY, Clock
from tests.window_model import CAP, TIMEOUT, Answer, Conversation, Message, Person, Said

SEQUENCES = os.environ.get("WINDOW_SEQUENCES")
CREATE = "conversations.create"
PHONES = ("+393331234567", "+393330000002")
HOLDOUT = "+393330000003"
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)  # after which the sweep looks at a conversation for the first time

FACTS = (
    *("is_active", "created_at", "last_message_at", "expires_at", "closed_at", "created_reason", "closed_reason"),
    *("parent_conversation_id", "message_count", "cohort", "topic"),
)

Found = TypeVar("Found")

people = st.sampled_from([0, 0, 0, 1, 2])  # much of one tells more than little of each
recent = st.integers(0, 30)  # which one, counted from the newest
failing = st.sampled_from([(), (), (), (False,), (True, False)])  # what OpenAI does with its calls; then it answers
earlier = st.sampled_from([1, 59, 60, 3600, 47 * 3600, 48 * 3600, 10 * 86_400]).map(
    lambda each: timedelta(seconds=each)
)
landmarks = st.tuples(st.sampled_from(["created_at", "last_inbound_at", "end"]), st.integers(-1, 1))


def talked(machine: "WindowMachine") -> bool:
    """Somebody has a history, so that there is something to do with it."""
    return any(person.conversations for person in machine.people)


class World:
    """One service on one file, and OpenAI at the end of its wire; each sequence finds the file as it was migrated."""

    def __init__(self, migrated: Path, file: Path) -> None:
        self._file, self._kept = file, file.with_suffix(".kept")
        shutil.copy(migrated, file)
        self.clock = Clock()
        self.emulator = Emulator()
        self.settings = Settings(
            _env_file=None,
            database_url=f"sqlite+aiosqlite:///{file}",
            key_pepper=SecretStr("pepper"),
            max_conversation_messages=CAP,
            user_turns_per_minute=10_000,  # its clock may stand still for long
            user_resets_per_hour=10_000,
            conversation_reserve=0,  # so that every opening needs OpenAI, which is away at times
            rollout_percent=0,
            rollout_users=",".join(PHONES),
        )
        self._llm = LLMClient.against(self.emulator)
        self._app = create_app(
            self.settings, llm=self._llm, clock=self.clock, books_every=3600
        )  # nothing is under way when the file is put back
        self._database = self._app.state.services.database
        self.sweep = Sweep(self._database, self._llm, self.settings, self.clock)
        self._runner = asyncio.Runner()
        self.http: httpx.AsyncClient

    @contextmanager
    def opened(self) -> Iterator["World"]:
        """Run the service, once for all sequences: to make an app takes longer than most of them."""
        with self._runner:
            context = self._serve()
            self.run(context.__aenter__())
            try:
                yield self
            finally:
                self.run(context.__aexit__(None, None, None))
        self.emulator.close()

    @asynccontextmanager
    async def _serve(self) -> AsyncIterator[None]:
        async with self._app.router.lifespan_context(self._app):
            _, key = await self._app.state.services.keys.create("tests", Scope.ADMIN, now=self.clock())
            await self._database.close()
            shutil.copy(self._file, self._kept)
            transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://convo", headers=headers) as self.http:
                yield

    def run(self, work: Any) -> Any:
        """Wait for something."""
        return self._runner.run(work)

    def begin(self) -> None:
        """Back to the migrated file and to Monday."""
        self.run(self._database.close())
        for beside in ("-wal", "-shm"):
            self._file.with_name(self._file.name + beside).unlink(missing_ok=True)
        shutil.copy(self._kept, self._file)
        self.emulator.reset()
        self.clock.now = MONDAY


class WindowMachine(RuleBasedStateMachine):
    """A gateway, an operator, a sweep and the time, in any order."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        world.begin()
        self.people = [*(Person(phone) for phone in PHONES), Person(HOLDOUT, endless=True)]
        self.ids: dict[str, str] = {}  # of users, by their identity
        self.fresh = count(1)
        self.rows: list[dict[str, Any]] | None = None  # the conversations after the last step; None: read already
        self.changed: set[str] = set()  # whose messages have to be read
        self.threads: dict[str | None, list[str]] = {}

    # What a gateway does.

    @rule(who=people, fails=failing)
    def says(self, who: int, fails: tuple[bool, ...]) -> None:
        """A message that arrives when it is said."""
        self._hears(self.people[who], Said(self._text(), self._id()), fails)

    @rule(who=people, before=earlier, text=st.sampled_from(["", "/new", "/new "]), fails=failing)
    def says_late(self, who: int, before: timedelta, text: str, fails: tuple[bool, ...]) -> None:
        """A message, or a `/new`, that was under way for a while."""
        self._hears(self.people[who], Said(self._behind(text), self._id(), self.now - before), fails)

    @precondition(talked)
    @rule(who=people, which=recent, landmark=landmarks, text=st.sampled_from(["", "", "/new"]), fails=failing)
    def says_at_a_landmark(
        self, who: int, which: int, landmark: tuple[str, int], text: str, fails: tuple[bool, ...]
    ) -> None:
        """A message of the very second in which a conversation began, was last used, or was over; or one beside it."""
        person = self._known(who)
        at = self._landmark(person, _pick(person.conversations, which), *landmark)
        self._hears(person, Said(self._behind(text), self._id(), min(at, self.now)), fails)

    @precondition(talked)
    @rule(who=people, seconds=st.integers(-1, 1), fails=failing)
    def comes_back(self, who: int, seconds: int, fails: tuple[bool, ...]) -> None:
        """A message in the last second of a window, exactly at its end, or a second later."""
        self._go_to_the_end(self._known(who), seconds)
        self._hears(self._known(who), Said(self._text(), self._id()), fails)

    @precondition(talked)
    @rule(who=people, left=st.integers(0, 1), fails=failing)
    def talks_much(self, who: int, left: int, fails: tuple[bool, ...]) -> None:
        """A message at the cap, or the last one before it."""
        missing = CAP - left - self._known(who).conversations[-1].message_count
        if missing > 0:
            self._appends(who, 0, [Said(self._text(), None, self.now, "outbound") for _ in range(missing)])
        self._hears(self._known(who), Said(self._text(), self._id()), fails)

    @rule(who=people, ahead=st.sampled_from([1, 299, 300, 301, 86_400]), text=st.sampled_from(["", "/new"]))
    def says_from_the_future(self, who: int, ahead: int, text: str) -> None:
        """Up to five minutes ahead is a difference of clocks, more is refused."""
        said = Said(self._behind(text), self._id(), self.now + timedelta(seconds=ahead))
        self._hears(self.people[who], said, ())

    @rule(who=people, text=st.sampled_from(["/new", "/nuova ", "/reset "]), fails=failing)
    def wants_a_new_one(self, who: int, text: str, fails: tuple[bool, ...]) -> None:
        """`/new`, alone and with text behind it."""
        self._hears(self.people[who], Said(self._behind(text), self._id()), fails)

    @rule(who=people, which=recent, fails=failing)
    def repeats(self, who: int, which: int, fails: tuple[bool, ...]) -> None:
        """The webhook of a message comes again, however long after, and whatever was answered to the first."""
        person = self.people[who]
        known = [one for one in person.messages if one.id is not None and one.direction == "inbound"]
        if known:
            again = _pick(known, which)
            self._hears(person, Said(again.text, again.id, again.sent_at), fails, again)

    @rule(who=people, which=recent)
    def reuses_an_id(self, who: int, which: int) -> None:
        """The id of another message is refused; the first one stands."""
        person = self.people[who]
        known = [one for one in person.messages if one.id is not None]
        if known:
            self._hears(person, Said(self._text(), _pick(known, which).id), ())

    @precondition(talked)
    @rule(who=people, which=recent, before=st.just(timedelta()) | earlier)
    def is_answered(self, who: int, which: int, before: timedelta) -> None:
        """The bot's words are appended, to whichever conversation they belong."""
        self._appends(who, which, [Said(self._text(), None, self.now - before, "outbound")])

    @precondition(talked)
    @rule(
        who=people,
        which=recent,
        after=st.sampled_from([0, 0, 0, -60, -3600, -48 * 3600, 300, 301]),
        text=st.sampled_from(["", "", "/new", "/new "]),
        more=st.booleans(),
    )
    def is_told(self, who: int, which: int, after: int, text: str, more: bool) -> None:
        """The user's words are appended, alone or before an answer of the bot."""
        said = [Said(self._behind(text), self._id(), self.now + timedelta(seconds=after))]
        self._appends(who, which, [*said, Said(self._text(), None, self.now, "outbound")] if more else said)

    @precondition(talked)
    @rule(who=people, seconds=st.integers(-1, 1), text=st.sampled_from(["", "", "/new"]))
    def is_told_in_the_end(self, who: int, seconds: int, text: str) -> None:
        """The user's words are appended in the last second of a window, or after it, which does not revive it."""
        self._go_to_the_end(self._known(who), seconds)
        self._appends(who, 0, [Said(self._behind(text), self._id())])

    @precondition(talked)
    @rule(who=people, seconds=st.integers(-1, 1))
    def is_told_about_the_last(self, who: int, seconds: int) -> None:
        """The user's words of a second before or after what was said last, or of that very second, are appended."""
        person = self._known(who)
        at = self._landmark(person, person.conversations[-1], "last_inbound_at", seconds)
        self._appends(who, 0, [Said(self._text(), self._id(), min(at, self.now))])

    @precondition(talked)
    @rule(who=people, which=recent, where=recent)
    def is_told_again(self, who: int, which: int, where: int) -> None:
        """A message that was seen before is appended, together with a new one: it stays where it is."""
        known = [one for one in self._known(who).messages if one.id is not None]
        if known:
            again = _pick(known, which)
            said = Said(again.text, again.id, again.sent_at, again.direction)
            self._appends(who, where, [said, Said(self._text(), None, None, "outbound")])

    # What an operator does.

    @rule(who=people, forget=st.booleans(), fails=failing)
    def is_reset(self, who: int, forget: bool, fails: tuple[bool, ...]) -> None:
        """A new conversation by hand."""
        person = self.people[who]
        if person.messages:  # not only those with a conversation: after a 503 there may be none
            expected = person.reset(self.now, self._remote(fails))
            body = {"forget": True} if forget else None
            got = self._post(f"/users/{self._user_id(person)}/reset", body)
            self._told(got, expected)
            self._look(person)
            if expected.conversation is not None:
                assert got.json()["id"] == expected.conversation.id

    @precondition(talked)
    @rule(who=people, which=recent)
    def is_closed(self, who: int, which: int) -> None:
        """A conversation is closed by hand; a closed one stays as it is."""
        person = self._known(who)
        conversation = _pick(person.conversations, which)
        conversation.close("operator", self.now)
        got = self._post(f"/conversations/{conversation.id}/close", None)
        assert (got.status_code, got.json()["is_active"]) == (200, False)
        self._look(person)

    # What the time does.

    @rule(fails=failing, hours=st.sampled_from([0, 0, 1, 47, 48]))
    def the_sweep_runs(self, fails: tuple[bool, ...], hours: int) -> None:
        """What is owed is made up for, and every window that is over is closed, after a while of silence or at once."""
        self._sweep(hours, fails)

    @rule(who=people, hours=st.sampled_from([1, 47, 48]))
    def old_talk_is_fed_in(self, who: int, hours: int) -> None:
        """What was said days ago and comes in now is not cut by the wall clock, until nobody adds to it."""
        self._hears(self.people[who], Said(self._text(), self._id(), self.now - timedelta(days=10)), ())
        self._sweep(hours, ())

    @rule(hours=st.sampled_from([1 / 60, 1 / 6, 59 / 60, 1, 10, 24, 47, 48, 72, 240]))
    def time_passes(self, hours: float) -> None:
        """Minutes, hours or days."""
        self.world.clock.advance(hours=hours)

    @rule(who=people, seconds=st.integers(-1, 1))
    @precondition(talked)
    def the_window_nears_its_end(self, who: int, seconds: int) -> None:
        """To a second before the end of somebody's window, to its end, or to a second after it."""
        self._go_to_the_end(self._known(who), seconds)

    # What has to hold.

    @invariant()
    def the_histories_agree(self) -> None:
        """What can be read is what the contract says: every conversation, every message once, one active at most."""
        if self.rows is None:
            return
        assert self.rows == sorted(self.rows, key=lambda row: (row["last_message_at"], row["id"]), reverse=True)
        for person in self.people:
            found = self._rows_of(person)
            assert sum(row["is_active"] for row in found) <= 1
            rows = {row["id"]: {name: row[name] for name in FACTS} for row in found}
            assert rows == {one.id: _facts(one, person) for one in person.conversations}
            if person.identity in self.changed and person.messages:
                self._messages_agree(person)
        self.changed.clear()
        self.rows = None

    def _messages_agree(self, person: Person) -> None:
        said = self._listed(f"/users/{self._user_id(person)}/messages")
        assert said == sorted(said, key=lambda row: (row["sent_at"], row["id"]))
        assert len(said) == len(person.messages)
        assert dict(map(_as_read, said)) == dict(map(_as_modelled, person.messages))
        for one in person.conversations:
            thread = sorted(_name(message.id, message.text) for message in person.messages if message.home is one)
            if self.threads.get(one.id) != thread:
                read = self._listed(f"/conversations/{one.id}/messages")
                assert sorted(_name(row["external_id"], row["text"]) for row in read) == thread
                self.threads[one.id] = thread

    # How it is done.

    @property
    def now(self) -> datetime:
        """What the service takes the time for."""
        return self.world.clock()

    def _hears(self, person: Person, said: Said, fails: tuple[bool, ...], again: Message | None = None) -> None:
        if self._is_left_out(person, said, again):
            return
        body: dict[str, Any] = {"id": said.id, "text": said.text}
        if said.at is not None:
            body["sent_at"] = said.at.isoformat()
        expected = person.hears(said, self.now, self._remote(fails))
        got = self._post("/conversations", {"identity": person.identity, "message": body})
        self._told(got, expected)
        self._look(person)
        if expected.code is None:
            _assert_answer(got.json(), expected)

    def _appends(self, who: int, which: int, batch: list[Said]) -> None:
        person = self._known(who)
        if any(self._is_left_out(person, said, None) for said in batch):
            return
        conversation = _pick(person.conversations, which)
        expected = person.appends(conversation, batch, self.now)
        body = [
            {"direction": said.direction, "text": said.text}
            | ({"id": said.id} if said.id else {})
            | ({"sent_at": said.at.isoformat()} if said.at else {})
            for said in batch
        ]
        self._told(self._post(f"/conversations/{conversation.id}/messages", {"messages": body}), expected)
        self._look(person)

    def _sweep(self, hours: int, fails: tuple[bool, ...]) -> None:
        self.world.clock.advance(hours=hours)
        owing = [person for person in self.people if person.owed is not None]
        if any(self._sweep_differs(person) for person in self.people):
            return
        remote = self._remote(fails if len(owing) == 1 else ())  # of several it is open who is first
        for person in owing:
            person.is_made_up(self.now, remote)
        for person in self.people:
            person.swept(self.now)
        self.world.run(self.world.sweep.run_once())
        self.world.emulator.reset()
        self._look(*owing)

    def _is_left_out(self, person: Person, said: Said, again: Message | None) -> bool:
        """Interactions in which the service differs from the contract; each is reported."""
        known = next((one for one in person.messages if one.id is not None and one.id == said.id), None)
        at = known.sent_at if known is not None else said.at or self.now
        last, owed = person.last_inbound_at, person.owed
        newest = [one.last_inbound_at for one in person.conversations[-1:]]
        if owed is not None and owed.waits:
            newest.append(owed.opened_at)  # of the one that is made on the way
        if last is not None and any(start <= at < last for start in newest):
            return True  # older than the last inbound of the user, but not than that of the newest conversation
        if owed is not None and owed.since <= at < owed.opened_at:
            return True  # later than what is owed, but not than the last attempt to make up for it
        return known is not None and known.text == said.text and self._differs_when_repeated(known, again)

    @staticmethod
    def _differs_when_repeated(known: Message, again: Message | None) -> bool:
        if again is None:
            return known.home is None  # appended after a 503 that kept it, it stays without a conversation
        return known.is_command and known.is_appended  # `/new` that did nothing is answered as if it had, the next time

    def _sweep_differs(self, person: Person) -> bool:
        owed, newest = person.owed, person.newest
        waiting = owed.message if owed is not None and owed.waits else None
        if waiting is not None and not waiting.said and self.now >= waiting.received_at + TIMEOUT:
            return True  # as below: the sweep opens it, and does not see that it is over
        if newest is None:
            return False
        if person.is_over(newest, self.now) and self.now < newest.made_at + HOUR:
            return True  # opened by a `/new` that had been kept for long: the sweep closes it an hour too late
        # Closed by hand while a rollover was owed: the sweep opens one all the same, for the reason of the rollover.
        return owed is not None and not owed.waits and newest.closed_reason not in (None, owed.reason)

    def _remote(self, fails: tuple[bool, ...]) -> Iterator[bool]:
        """Order what OpenAI does with the calls of this request, and say it to the model."""
        self.world.emulator.reset()
        for works in fails:
            # 429 without Retry-After: a failure that passes, is not repeated, and opens no circuit breaker.
            self.world.emulator.fail_next(CREATE, **({"delay": 0.001} if works else {"status": 429}))
        return chain(fails, repeat(True))

    def _told(self, got: httpx.Response, expected: Answer) -> None:
        self.world.emulator.reset()
        code = got.json().get("code") if got.status_code >= 400 else None
        assert (got.status_code, code) == (expected.status, expected.code), got.text

    def _post(self, path: str, body: dict[str, Any] | None) -> httpx.Response:
        answer: httpx.Response = self.world.run(self.world.http.post(path, json=body))
        return answer

    def _listed(self, path: str, **params: str) -> list[dict[str, Any]]:
        got = self.world.run(self.world.http.get(path, params={**params, "limit": 100}))
        assert got.status_code == 200, got.text
        assert got.json()["has_more"] is False, "a sequence is longer than a page"
        return list(got.json()["data"])

    def _user_id(self, person: Person) -> str:
        if person.identity not in self.ids:
            self.ids[person.identity] = self._post("/users/lookup", {"identity": person.identity}).json()["id"]
        return self.ids[person.identity]

    def _look(self, *changed: Person) -> None:
        """Read the conversations; the model's are those with the same place in the chain."""
        self.changed.update(person.identity for person in changed)
        self.rows = self._listed("/conversations")
        for person in self.people:
            new = [one for one in person.conversations if one.id is None]
            by_parent = {row["parent_conversation_id"]: row["id"] for row in self._rows_of(person)} if new else {}
            for one in new:
                one.id = by_parent.get(one.parent.id if one.parent else None)

    def _rows_of(self, person: Person) -> list[dict[str, Any]]:
        user_id = self._user_id(person) if person.messages else None
        return [row for row in self.rows or () if row["user_id"] == user_id]

    def _known(self, who: int) -> Person:
        """One of those who have a conversation."""
        known = [person for person in self.people if person.conversations]
        return known[who % len(known)]

    def _go_to_the_end(self, person: Person, seconds: int) -> None:
        at = self._landmark(person, person.conversations[-1], "end", seconds)
        self.world.clock.now = max(at, self.now)

    def _landmark(self, person: Person, conversation: Conversation, name: str, seconds: int) -> datetime:
        at = person.ends_at(conversation) if name == "end" else getattr(conversation, name)
        return (at or self.now) + seconds * SECOND

    def _text(self) -> str:
        return f"messaggio {next(self.fresh)}"

    def _behind(self, command: str) -> str:
        """A command alone, or with a text behind it when it ends in a blank."""
        return command if command.startswith("/") and not command.endswith(" ") else f"{command}{self._text()}"

    def _id(self) -> str:
        return f"wamid.{next(self.fresh)}"


def _facts(one: Conversation, person: Person) -> dict[str, Any]:
    return {
        "is_active": one.is_active,
        "created_at": _wire(one.created_at),
        "last_message_at": _wire(one.last_message_at),
        "expires_at": _wire(person.ends_at(one)) if one.is_active else None,
        "closed_at": _wire(one.closed_at),
        "created_reason": one.created_reason,
        "closed_reason": one.closed_reason,
        "parent_conversation_id": one.parent.id if one.parent else None,
        "message_count": one.message_count,
        "cohort": "holdout" if person.endless else "window",
        "topic": "general",
    }


def _as_modelled(one: Message) -> tuple[str, dict[str, Any]]:
    return _name(one.id, one.text), {
        "text": one.text,
        "direction": one.direction,
        "sent_at": _wire(one.sent_at),
        "received_at": _wire(one.received_at),
        "late": one.late,
        "conversation_id": one.home.id if one.home else None,
    }


def _as_read(row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    names = ("text", "direction", "sent_at", "received_at", "late", "conversation_id")
    return _name(row["external_id"], row["text"]), {name: row[name] for name in names}


def _assert_answer(got: dict[str, Any], expected: Answer) -> None:
    conversation, message = expected.conversation, expected.message
    assert conversation is not None
    assert message is not None
    alone = expected.is_command and not message.said
    assert got["conversation"]["id"] == conversation.id
    assert (got["duplicate"], got["degraded"]) == (
        expected.duplicate,
        "stale_conversation" if expected.degraded else None,
    )
    assert (got["command"], got["reply"] is not None) == ("new_conversation" if expected.is_command else None, alone)
    assert (got["created"], got["input"]) == (expected.status == 201, message.said or None)


def _pick(rows: list[Found], which: int) -> Found:
    return rows[-1 - which % len(rows)]


def _name(external_id: str | None, text: str) -> str:
    """What tells a message from every other: its id, or the text, which has a number."""
    return external_id or text


def _wire(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at is not None else None


def test_any_order_of_things(migrated: Path, tmp_path: Path) -> None:
    """Whatever comes in whatever order, the service and the model of the contract say the same."""
    profile = settings(
        max_examples=int(SEQUENCES or 16),
        stateful_step_count=30,
        deadline=None,
        derandomize=SEQUENCES is None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    with World(migrated, tmp_path / "convo.db").opened() as world:

        class InThisWorld(WindowMachine):
            def __init__(self) -> None:
                super().__init__(world)

        run_state_machine_as_test(InThisWorld, settings=profile)
