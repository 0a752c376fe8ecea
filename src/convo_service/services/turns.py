"""Turns: a message is stored, finds its conversation, waits its place in line, and gets one reply."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn

from sqlalchemy.ext.asyncio import AsyncSession

from convo_service import crashing
from convo_service.crashing import crash_point
from convo_service.db.engine import Database
from convo_service.db.faults import is_passing
from convo_service.db.models import Message, Turn, User
from convo_service.domain.ids import new_id
from convo_service.errors import (
    ConvoError,
    DatabaseUnavailable,
    ModelNotConfigured,
    TurnInProgress,
    UpstreamFailed,
    UpstreamLost,
    UpstreamUnavailable,
)
from convo_service.llm.client import LLMClient
from convo_service.llm.replies import OnDelta, Reply
from convo_service.services import ledger, metering, openings, pauses, turn_queue, turn_records, users
from convo_service.services.arrivals import Answer, Call, Clock
from convo_service.services.asking import Asker, Role
from convo_service.services.catalog import Catalogs
from convo_service.services.conversations import ConversationService
from convo_service.services.patience import in_background
from convo_service.services.turn_queue import TurnLost
from convo_service.services.turn_records import Answered, TurnView
from convo_service.settings import Settings
from convo_service.telemetry import failure, get_logger, metrics

POLL_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.3  # between two looks whether it is one's turn
RENEW_SECONDS = 4.0
PLACES = 2  # a turn waits for so many of the longest calls, at most

COMPLETED = {"status": "completed"}

log = get_logger()


@dataclass(slots=True)
class Begun:
    """A turn whose message is stored and has its conversation; completed before, or to be carried out by us."""

    call: Call
    answer: Answer
    turn: Turn
    instructions: str | None  # the caller's, for this turn alone
    role: Role
    started: float  # on time.monotonic()
    waited: bool  # somebody was before it in the line

    @property
    def is_done(self) -> bool:
        """Whether the reply is there already."""
        return self.turn.status == "completed"

    @property
    def is_first(self) -> bool:
        """Whether nobody can have asked in the conversation before: it is ours, and so was the place in line so far."""
        in_time = time.monotonic() < self.started + turn_queue.LEASE_SECONDS
        return self.answer.created and not self.waited and in_time

    @property
    def message(self) -> Message:
        """The message that is answered."""
        assert self.answer.message is not None  # noqa: S101 - no turn without one
        return self.answer.message


class _Entry:
    """Takes a place in the user's line, in the transaction that stores the message."""

    def __init__(self, clock: Clock) -> None:
        self.turn: Turn | None = None
        self.attempt_id = new_id("att")
        self._clock = clock

    async def arrive(self, tx: AsyncSession, user: User, message: Message, *, is_new: bool) -> bool:
        now = self._clock()
        self.turn = await turn_queue.enter(tx, user, message, self.attempt_id, is_new=is_new, now=now)
        return not await turn_queue.overtakes(tx, self.turn, message, now)


class _Pieces:
    """What a listener was told of a reply: one that came in no piece, as a stored one does, is told as a whole."""

    def __init__(self, listener: OnDelta | None) -> None:
        self._listener = listener
        self._is_silent = True

    def pass_on(self, text: str) -> None:
        self._is_silent = False
        if self._listener is not None:
            self._listener(text)

    def make_up(self, reply: Message | None) -> None:
        if self._is_silent and reply is not None and self._listener is not None:
            self._listener(reply.text)


class Turns:
    """Answers messages: one reply for each, one at a time for each user."""

    def __init__(
        self,
        database: Database,
        llm: LLMClient,
        conversations: ConversationService,
        settings: Settings,
        clock: Clock,
        catalogs: Catalogs,
    ) -> None:
        self._database = database
        self._catalogs = catalogs
        self._conversations = conversations
        self._settings = settings
        self._clock = clock
        self._call_seconds = settings.openai_timeout_seconds
        self._asker = Asker(database, llm, self._call_seconds)

    async def begin(self, call: Call, instructions: str | None = None) -> Begun:
        """Store the message, take a place in line, and find the conversation.

        Raises TurnInProgress while the same message is being answered, ModelNotConfigured, and what getting a
        conversation raises; then the turn has failed, the message is kept, and the same call tries again.
        """
        if self._settings.openai_model is None and not (await self._catalogs.read()).templates:
            raise ModelNotConfigured
        started = time.monotonic()
        entry = _Entry(self._clock)
        call = replace(call, entry=entry, seed_message=False)
        try:
            answer = await self._conversations.get_or_create(call)
            role = await self._role(answer, instructions)
        except TurnInProgress:
            raise
        except Exception as error:
            if entry.turn is None:
                raise
            await self._fail_with(entry.turn, error)
        except BaseException:  # cut off: the service stops, and the model was not asked
            if entry.turn is not None:
                in_background(self._fail(entry.turn, UpstreamUnavailable()))
            raise
        assert entry.turn is not None  # noqa: S101 - no answer without an arrival
        return Begun(call, answer, entry.turn, instructions, role, started, entry.turn.status == "waiting")

    async def _role(self, answer: Answer, instructions: str | None) -> Role:
        """What the conversation's template says, in the version that it was opened with, else the installation.

        Raises ModelNotConfigured when neither has a model.
        """
        template = await self._catalogs.version_of(answer.conversation)
        model, told = self._settings.openai_model, self._settings.instructions
        if template is not None:
            model, told = template.model or model, template.instructions or told
        if model is None:
            raise ModelNotConfigured
        return Role(model, instructions or told)

    async def finish(self, begun: Begun, on_delta: OnDelta | None = None) -> TurnView:
        """Wait for the place in line, ask the model, and keep the reply and what it used.

        `on_delta` is told each piece of the reply as it comes. Raises UpstreamFailed when the model gave no reply,
        UpstreamUnavailable, and TurnInProgress when others were before it for too long: the turn has failed then.
        """
        pieces = _Pieces(on_delta)
        view = await self._finished(begun, pieces.pass_on if on_delta else None)
        pieces.make_up(view.reply)
        return view

    async def _finished(self, begun: Begun, on_delta: OnDelta | None) -> TurnView:
        if begun.is_done:
            return await self.view(begun.turn.id, duplicate=True)
        try:
            async with self._alive(begun.turn):
                await self._wait(begun)
                reply = await self._reply(begun, on_delta)
                answered = await self._answered(begun, reply)
                if reply is not None and not reply.is_given:
                    await self._charge(begun, answered)
                    raise UpstreamFailed
                begun.turn.uncertain |= reply is not None  # until the reply is stored, only OpenAI has it
                return await self._complete(begun, answered)
        except TurnLost:
            return await self._somebody_elses(begun)
        except Exception as error:
            await self._fail_with(begun.turn, error)
        except BaseException:  # cut off: the service stops
            in_background(self._fail(begun.turn, UpstreamUnavailable(uncertain=True)))
            raise

    async def _somebody_elses(self, begun: Begun) -> TurnView:
        """Whoever has taken the turn over may be done with it."""
        view = await self.view(begun.turn.id, duplicate=True)
        if view.turn.status != "completed":
            raise TurnInProgress(retry_after=1)
        return view

    async def view(self, turn_id: str, *, duplicate: bool = False) -> TurnView:
        """A turn as it stands; raises TurnNotFound."""
        async with self._database.read.begin() as tx:
            return await turn_records.view(tx, turn_id, duplicate=duplicate)

    @asynccontextmanager
    async def _alive(self, turn: Turn) -> AsyncIterator[None]:
        """Say again and again that somebody works on the turn: when it is not said, another request takes it over."""

        async def says() -> None:
            while True:
                await asyncio.sleep(RENEW_SECONDS)
                with suppress(Exception):  # a database that is away for a moment costs nobody his turn
                    async with self._database.write.begin() as tx:
                        await turn_queue.stay_alive(tx, turn)

        saying = asyncio.create_task(says())
        try:
            yield
        finally:
            saying.cancel()

    async def _wait(self, begun: Begun) -> None:
        """Until everybody who came before has an answer."""
        ends, pause = begun.started + PLACES * self._call_seconds, POLL_SECONDS
        while begun.turn.status == "waiting":
            if time.monotonic() > ends:
                raise TurnInProgress(retry_after=1)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
            async with self._database.read.begin() as tx:
                is_first = await turn_queue.is_first(tx, begun.turn)
            if is_first:
                async with self._database.write.begin() as tx:
                    begun.turn = await turn_queue.advance(tx, begun.turn)
                    judged = await pauses.judge_anew(tx, begun.turn.user_id, self._clock())
                begun.answer = replace(begun.answer, pause=judged)

    async def _reply(self, begun: Begun, on_delta: OnDelta | None) -> Reply | None:
        """What the model says; None when nothing of the message belongs to it."""
        if begun.answer.input is None:
            return None
        crash_point(crashing.BEFORE_ASKING)
        try:
            reply = await self._ask(begun, on_delta)
        except UpstreamLost:
            await self._move(begun)
            reply = await self._ask(begun, on_delta)
        crash_point(crashing.REPLIED)
        return reply

    async def _ask(self, begun: Begun, on_delta: OnDelta | None) -> Reply:
        return await self._asker.ask(begun.turn, begun.answer, begun.role, on_delta, is_first=begun.is_first)

    async def _move(self, begun: Begun) -> None:
        """OpenAI has lost the conversation: close it, and let the message open the next one."""
        await self._conversations.lose(begun.answer.conversation, begun.message)
        begun.answer = await self._conversations.place(begun.call)
        begun.role = await self._role(begun.answer, begun.instructions)

    async def _answered(self, begun: Begun, reply: Reply | None) -> Answered:
        return Answered(
            answer=begun.answer,
            reply=reply,
            model=begun.role.model,
            instructions=begun.role.instructions,
            prices=await ledger.look_up_prices(begun.role.model, self._settings),
            latency_ms=round((time.monotonic() - begun.started) * 1000),
            at=self._clock(),
        )

    async def _complete(self, begun: Begun, answered: Answered) -> TurnView:
        work = partial(turn_records.complete, turn=begun.turn, answered=answered, settings=self._settings)
        try:
            done = await self._database.lane.run(work)
            _count(done)
        except TurnLost:
            await self._forget(answered)
            raise
        crash_point(crashing.COMPLETED)
        return done

    async def _forget(self, answered: Answered) -> None:
        """Have a response deleted at OpenAI that no row of ours names: its user may have been erased meanwhile."""
        if answered.reply is not None and answered.reply.response_id is not None:
            async with self._database.write.begin() as tx:
                await openings.discard(tx, answered.reply.response_id, "turn_lost")

    async def _charge(self, begun: Begun, answered: Answered) -> None:
        """The model gave no reply, and what it used is paid for all the same."""
        async with self._database.write.begin() as tx:
            await turn_records.charge(tx, begun.turn, answered)

    async def _fail_with(self, turn: Turn, error: Exception) -> NoReturn:
        """Let a turn fail, and raise its error; that of a database that does not answer names the turn, too."""
        if isinstance(error, ConvoError) or not is_passing(error):
            await self._fail(turn, error)
            raise error
        log.error("database_failed", **failure(error))
        ours = DatabaseUnavailable()
        await self._fail(turn, ours)
        raise ours from error

    async def _fail(self, turn: Turn, error: Exception) -> None:
        """Free the place in line and say why; what OpenAI may have done all the same is looked for the next time."""
        code = error.code if isinstance(error, ConvoError) else ConvoError.code
        if isinstance(error, ConvoError):
            error.turn_id = turn.id
        metrics.turns.add(1, {"status": "failed", "error.type": code})
        log.warning("turn_failed", turn=turn.id, user=turn.user_id, code=code)
        try:
            async with self._database.write.begin() as tx:
                await users.lock(tx, turn.user_id)
                current = await turn_queue.fenced(tx, turn)
                current.status, current.error_code, current.finished_at = "failed", code, self._clock()
                current.uncertain |= turn.uncertain or getattr(error, "uncertain", False)
        except Exception as failed:  # its lease runs out, and whoever comes back takes it over
            log.warning("turn_left", turn=turn.id, error=type(failed).__name__)


def _count(done: TurnView) -> None:
    metrics.turns.add(1, COMPLETED)
    if done.call is not None:
        metering.called(done.call)
