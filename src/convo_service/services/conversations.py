"""ConversationService: which conversation a message belongs to, and the next one when the window is over."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from sqlalchemy.exc import DBAPIError, NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service import crashing
from convo_service.crashing import crash_point
from convo_service.db.engine import Database
from convo_service.db.faults import is_contention
from convo_service.db.models import Conversation, Message
from convo_service.domain.commands import REPLIES
from convo_service.domain.record import missed_items
from convo_service.domain.window import Reason
from convo_service.errors import (
    Contended,
    DatabaseUnavailable,
    IdentityTaken,
    OpeningInProgress,
    UpstreamRefused,
    UpstreamUnavailable,
)
from convo_service.llm.client import LLMClient
from convo_service.services import ledger, messages, openings, owing, templates, users, windows
from convo_service.services.arrivals import GENERAL, Answer, Arrivals, Busy, Call, Claimed, Clock, check_topic
from convo_service.services.budgets import Budgets
from convo_service.services.catalog import Catalogs
from convo_service.services.messages import NewMessage
from convo_service.services.opener import Opener
from convo_service.services.openings import Attempt, FenceLost
from convo_service.services.patience import Patience, in_background, in_time
from convo_service.services.pepper import Pepper
from convo_service.services.routing import Routing
from convo_service.services.seeds import SeedMaker
from convo_service.services.tombstones import Marker
from convo_service.services.warm import Warm
from convo_service.settings import Settings
from convo_service.telemetry import metrics

POLL_SECONDS = 0.05
CONTENTION_TRIES = 3


class ConversationService:
    """Gets or creates, resets and closes conversations."""

    def __init__(
        self,
        database: Database,
        llm: LLMClient,
        settings: Settings,
        clock: Clock,
        budgets: Budgets | None = None,
        catalogs: Catalogs | None = None,
    ) -> None:
        self._database = database
        self._catalogs = catalogs or Catalogs(database)
        self._routing = Routing(self._catalogs, settings)
        self._settings = settings
        self._clock = clock
        self._seeds = SeedMaker(settings)
        self._opener = Opener(database, llm, self._seeds)
        rollout = users.rollout(settings)
        self._arrivals = Arrivals(settings, rollout, clock)
        self._warm = Warm(database, settings, rollout, clock)
        self._pepper = Pepper(database, settings)
        self._budgets = budgets or Budgets(settings, clock, self._pepper)

    async def get_or_create(self, call: Call) -> Answer:
        """Store the message, decide the window, and return the conversation to use at OpenAI.

        Raises TurnBudgetSpent and ResetBudgetSpent, before anything is stored, and what `place` raises.
        """
        with self._budgets.of_message(call) as spending:
            answer = await self.place(call)
            spending.is_nothing_new, spending.user_id = answer.duplicate, answer.conversation.user_id
        if answer.duplicate:
            metrics.duplicates.add(1)
        if answer.degraded:
            metrics.degraded.add(1)
        return answer

    async def place(self, call: Call) -> Answer:
        """The same for a message that counts in no budget: it was counted before.

        Raises UpstreamUnavailable when there is no usable conversation (the message is kept), OpeningInProgress when
        another request has been opening it for too long, DatabaseUnavailable, and the errors of bad input.
        """
        call = await self._routing.route(call)
        patience = Patience()
        answer = await self._warm.arrive(call)
        if call.message is not None:
            metrics.messages.add(1, metrics.LONG if answer is None else metrics.QUICK)
        if answer is None:
            answer = await in_time(self._get_or_create(call, patience), patience)
            answer = await self._with_missed(call, answer)
        return await self._with_notice(answer) if answer.is_command else answer

    async def _with_notice(self, answer: Answer) -> Answer:
        """What is said to a command: by the template of the conversation that it opened."""
        template = await self._catalogs.version_of(answer.conversation)
        own = template.command_reply if template is not None else None
        return replace(answer, notice=own or REPLIES[templates.language(template, self._settings)])

    async def _with_missed(self, call: Call, answer: Answer) -> Answer:
        """With what was said in a pause, for whoever asks OpenAI himself; a turn looks for it when it asks."""
        if call.entry is not None or answer.pause is None or answer.is_silent:
            return answer
        async with self._database.read.begin() as tx:
            said = await messages.missed_in(tx, answer.conversation, but=answer.message)
        return replace(answer, missed=missed_items(said))

    async def _get_or_create(self, call: Call, patience: Patience) -> Answer:
        created = False
        while not patience.is_over:
            crash_point(crashing.BEFORE_T1)
            step = await self._arrive(call)
            crash_point(crashing.AFTER_T1)
            match step:
                case Answer():
                    answer = step if call.sends_seed or step.is_silent else await self._hand_out(step, patience)
                    if answer is not None:
                        return replace(answer, created=created)
                case IdentityTaken():
                    raise step
                case Busy():
                    await self._wait(step.user_id, step.topic, patience)
                case Claimed():
                    answer = await self._open(step, patience)
                    if answer is not None and (step.is_own or answer.degraded):
                        return answer
                    created |= answer is not None
        raise DatabaseUnavailable

    async def reset(self, user_id: str, *, topic: str = GENERAL, forget: bool = False) -> Conversation:
        """Close and open by hand, as `/new` does; `forget` seeds the new one with the profile alone.

        Raises ResetBudgetSpent.
        """
        check_topic(topic, self._settings)
        patience = Patience()
        with self._budgets.of_reset(user_id):
            return await in_time(self._reset(user_id, topic, forget=forget, patience=patience), patience)

    async def _reset(self, user_id: str, topic: str, *, forget: bool, patience: Patience) -> Conversation:
        catalog = await self._catalogs.read()
        while not patience.is_over:
            async with self._database.write.begin() as tx:
                step = await self._arrivals.claim_reset(tx, user_id, topic, catalog, forget=forget)
            if isinstance(step, Busy):
                await self._wait(user_id, topic, patience)
                continue
            answer = await self._open(step, patience)
            if answer is not None and answer.degraded:
                raise UpstreamUnavailable
            if answer is not None and step.is_own:
                return answer.conversation
        raise DatabaseUnavailable

    async def make_up(self, user_id: str, topic: str) -> bool:
        """Carry through an opening that nobody works on; False when somebody does. Raises UpstreamUnavailable."""
        async with self._database.write.begin() as tx:
            attempt = await openings.claim_owed(tx, await users.lock(tx, user_id), topic)
        if attempt is None:
            return False
        answer = await self._open(Claimed(attempt, None), Patience())
        if answer is not None and answer.degraded:
            raise UpstreamUnavailable
        return answer is not None

    async def append(self, conversation_id: str, batch: Sequence[NewMessage]) -> list[Message]:
        """Append what was said elsewhere, in order; nothing of the batch is stored when any of it is refused."""
        models = {one.usage.model for one in batch if one.usage is not None}
        prices = {model: await ledger.look_up_prices(model, self._settings) for model in models}
        marker = Marker(await self._pepper.read())
        async with self._database.write.begin() as tx:
            return await messages.append(
                tx, conversation_id, batch, now=self._clock(), settings=self._settings, prices=prices, marker=marker
            )

    async def close(self, conversation_id: str) -> Conversation:
        """Close by hand; the next message opens a new one. A closed conversation stays as it is."""
        async with self._database.write.begin() as tx:
            found = await windows.find(tx, conversation_id)
            await users.lock(tx, found.user_id)
            now = self._clock()
            await windows.close(tx, found, Reason.OPERATOR, now, sweep_at=now)
            return await windows.get(tx, found.user_id, found.id)

    async def lose(self, lost: Conversation, message: Message) -> None:
        """Close a conversation that OpenAI does not have any more, and let a message of it find the next one."""
        async with self._database.write.begin() as tx:
            await owing.give_up(tx, lost, message, self._clock())

    async def _arrive(self, call: Call) -> Answer | IdentityTaken | Busy | Claimed:
        """T1, and again when another transaction was in the way: two requests that name the same identities."""
        marker, catalog = Marker(await self._pepper.read()), await self._catalogs.read()
        for tries in range(CONTENTION_TRIES):
            try:
                async with self._database.write.begin() as tx:
                    return await self._arrivals.arrive(tx, call, marker, catalog)
            except (Contended, DBAPIError) as error:
                if tries + 1 == CONTENTION_TRIES or not is_contention(error):
                    raise
        raise Contended

    async def _hand_out(self, answer: Answer, patience: Patience) -> Answer | None:
        """The answer with a conversation that owes no seed; None when it was given up, and the next is to be found."""
        while answer.conversation.owed_items is not None:
            async with self._database.write.begin() as tx:
                current = await owing.hand_out(tx, answer.conversation, answer.message, self._clock())
            if current is None:
                return None
            answer = replace(answer, conversation=current)
            if current.owed_items is not None:
                if not patience.may_wait:
                    raise OpeningInProgress(retry_after=1)
                await asyncio.sleep(POLL_SECONDS)
        return answer

    async def _open(self, claimed: Claimed, patience: Patience) -> Answer | None:
        """Carry a claimed opening through; None when somebody else has taken it over."""
        attempt = claimed.attempt
        try:
            opened = await self._opener.open(
                attempt, patience, answers=claimed.is_own, sends_seed=claimed.sends_seed, now=self._clock()
            )
        except (FenceLost, NoResultFound):  # the user was erased, or merged into another, meanwhile
            return None
        except UpstreamUnavailable as error:
            return await self._degraded(claimed, error, patience)
        except BaseException:  # one that is cut off, too: the service stops
            in_background(self._give_up(attempt))  # it may have to wait as long as what just failed
            raise
        message = opened.message if claimed.is_own else claimed.message
        return Answer(opened.conversation, message, created=True, pause=claimed.pause)

    async def _degraded(self, claimed: Claimed, error: UpstreamUnavailable, patience: Patience) -> Answer | None:
        """Serve the old conversation when it can still be used; the rollover stays owed. Else raise the error.

        A `/new` is never served with the old conversation, whatever the opening that it took over was made for; and
        nothing counts as answered when nobody waits any more.
        """
        attempt, said = claimed.attempt, claimed.message
        async with self._database.write.begin() as tx:
            opening = await openings.held(tx, attempt)
            if opening is None:
                return None
            stale = None
            is_command = said is not None and said.is_command
            if attempt.plan.reason.leaves_a_usable_conversation and not is_command and not patience.is_over:
                # Closed by the sweep or not: the one that the rollover is owed to.
                stale = await windows.current_or_last(tx, attempt.user_id, attempt.plan.topic)
                if stale is not None and not _is_usable(stale, sends_seed=claimed.sends_seed):
                    stale = None
            refused = isinstance(error, UpstreamRefused)
            await openings.release(tx, opening, answered=stale is not None and claimed.is_own, refused=refused)
            message = await self._serve(tx, said, stale) if said is not None and stale is not None else None
        if stale is None:
            raise error
        return Answer(stale, message, degraded=True, pause=claimed.pause)

    async def _serve(self, tx: AsyncSession, said: Message, stale: Conversation) -> Message:
        message = await tx.get_one(Message, (said.user_id, said.id))
        message.answered_conversation_id = stale.id
        if message.conversation_id is None:
            messages.join(message, stale, moves_window=False, rules=windows.sweep_rules(self._settings, stale))
        return message

    async def _give_up(self, attempt: Attempt) -> None:
        """Free the lease after an error that nobody expected; when that fails, too, the lease runs out by itself."""
        with suppress(Exception):
            async with self._database.write.begin() as tx:
                opening = await openings.held(tx, attempt)
                if opening is not None:
                    await openings.release(tx, opening)

    async def _wait(self, user_id: str, topic: str, patience: Patience) -> None:
        while patience.may_wait:
            await asyncio.sleep(POLL_SECONDS)
            async with self._database.read.begin() as tx:
                if not await openings.is_busy(tx, user_id, topic):
                    return
        raise OpeningInProgress(retry_after=1)


def _is_usable(conversation: Conversation, *, sends_seed: bool) -> bool:
    """Whether OpenAI still has it, with its seed in it or in the turn that comes."""
    return conversation.released_at is None and (conversation.owed_items is None or sends_seed)
