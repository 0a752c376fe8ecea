"""Replaying the stored history under other windows: read by key, user by user, and nothing is written."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Message, Profile, User
from convo_service.domain.digest import Said
from convo_service.domain.record import Client
from convo_service.domain.seed import SeedRules
from convo_service.domain.simulated_seeds import EstimatedSeeds, NoSeeds, RealSeeds, Seeds, SeedSizes
from convo_service.domain.simulation import Comparison, Line, Rules, Sample, Talk
from convo_service.services.legacy import Progress, Watch
from convo_service.services.seeds import MAX_MESSAGES
from convo_service.settings import Settings

MESSAGES_AT_ONCE = 5000
EXACT_MESSAGES = 20_000  # of the users whose seeds are really made: some five seconds for each combination


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to compare, and on which part of the history; what began before `since` is replayed and not counted."""

    rules: tuple[Rules, ...]
    instructions: int = 0
    since: datetime | None = None
    until: datetime | None = None
    users: int | None = None  # so many, drawn by their ids
    exact_messages: int = EXACT_MESSAGES


@dataclass(slots=True)
class Played:
    """What came of it: the tallies, what was counted, and how much of it had its seeds really made."""

    comparison: Comparison
    users: int = 0
    messages: int = 0
    exact_users: int = 0
    exact_messages: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None

    def count(self, line: Line, *, is_new: bool) -> None:
        """Take in a message that is asked about; `is_new` when it is the first of its user."""
        at = line.said.sent_at
        self.users += is_new
        self.messages += 1
        self.first_at = min(self.first_at or at, at)
        self.last_at = max(self.last_at or at, at)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Whom to replay: those whose seeds are really made, and the others, None for everybody else."""

    exact: Sequence[str]
    others: Sequence[str] | None
    messages: int


@dataclass(slots=True)
class Simulation:
    """One replay of the stored history under several rules."""

    database: Database
    settings: Settings
    wanted: Wanted
    page: int = MESSAGES_AT_ONCE
    _sizes: dict[int, SeedSizes] = field(default_factory=dict)  # by budget

    async def run(self, watch: Watch) -> Played:
        """Replay everything once: first those whose seeds are really made, then the rest by what was learned."""
        played = Played(Comparison(self.wanted.rules, self.wanted.instructions))
        drawn = await self._draw()
        progress = watch(drawn.messages)
        for user_id in drawn.exact:
            await self._play(played, partial(self._real, await self._client(user_id)), progress, user_id)
        played.exact_users, played.exact_messages = played.users, played.messages
        if drawn.others is None:
            await self._play(played, self._estimated, progress, None, without=frozenset(drawn.exact))
        for user_id in drawn.others or ():
            await self._play(played, self._estimated, progress, user_id)
        return played

    async def _draw(self) -> Drawn:
        """Draw the users that were asked for, and of them those whose seeds are really made."""
        exact, messages = Sample(self.wanted.exact_messages), 0
        if self.wanted.users is None:
            async for user_id, count in self._everybody():
                exact.offer(user_id, count)
                messages += count
            return Drawn(list(exact.users), None, messages)
        asked = Sample(self.wanted.users, by_head=True)
        async for user_id, count in self._everybody():
            asked.offer(user_id, count)
        for user_id, count in asked.users.items():
            exact.offer(user_id, count)
        others = [user_id for user_id in asked.users if user_id not in exact.users]
        return Drawn(list(exact.users), others, sum(asked.users.values()))

    async def _everybody(self) -> AsyncIterator[tuple[str, int]]:
        """Every user who said or was told something, with how many messages there are."""
        after = ""
        while True:
            query = sa.select(User.id, User.message_count).where(User.id > after, User.message_count > 0)
            async with self.database.read.begin() as tx:
                rows = (await tx.execute(query.order_by(User.id).limit(self.page))).all()
            for user_id, count in rows:
                yield user_id, count
            if len(rows) < self.page:
                return
            after = rows[-1][0]

    async def _client(self, user_id: str) -> Client | None:
        """The profile as it is now, unless this installation keeps it out of seeds."""
        if not self.settings.include_client_summary:
            return None
        async with self.database.read.begin() as tx:
            profile = await tx.get(Profile, user_id)
        if profile is None:
            return None
        return Client(profile.name, profile.last_name, profile.ragione_sociale, profile.email)

    async def _play(
        self,
        played: Played,
        seeds: Callable[[Rules], Seeds],
        progress: Progress,
        user_id: str | None,
        without: Collection[str] = (),
    ) -> None:
        """Replay a user, or all but some; the messages of one come in a row, whatever page they are on."""
        current, talks, counted = None, list[Talk](), False
        async for page in self._pages(user_id):
            rows = [row for row in page if row.user_id not in without]
            for row in rows:
                if row.user_id != current:
                    current, talks, counted = row.user_id, played.comparison.talks(seeds), False
                line = self._line(row)
                if line.counted:
                    played.count(line, is_new=not counted)
                    counted = True
                for talk in talks:
                    talk.hear(line)
            progress(len(rows))

    async def _pages(self, user_id: str | None) -> AsyncIterator[Sequence[Any]]:
        """Messages by (user, time, id), a page in each transaction: a long one keeps SQLite's log from shrinking."""
        columns = (Message.user_id, Message.sent_at, Message.id)
        key = columns if user_id is None else columns[1:]
        query = sa.select(*columns, Message.direction, Message.text, Message.command_length)
        query = query.order_by(*key).limit(self.page)
        if user_id is not None:
            query = query.where(Message.user_id == user_id)
        if self.wanted.until is not None:
            query = query.where(Message.sent_at < self.wanted.until)
        page = query
        while True:
            async with self.database.read.begin() as tx:
                rows = (await tx.execute(page)).all()
            yield rows
            if len(rows) < self.page:
                return
            position = (sa.literal(getattr(rows[-1], one.key), one.type) for one in key)
            page = query.where(sa.tuple_(*key) > sa.tuple_(*position))

    def _line(self, row: Any) -> Line:
        said = Said(row.id, row.direction, row.text[row.command_length :], row.sent_at)
        since = self.wanted.since
        return Line(said, row.command_length > 0, since is None or row.sent_at >= since)

    def _real(self, client: Client | None, rules: Rules) -> Seeds:
        if not rules.seed_tokens:
            return NoSeeds()
        language, topics = self.settings.summary_language, self.settings.max_summary_messages
        seed_rules = SeedRules(rules.seed_tokens, language, topics)
        return RealSeeds(seed_rules, client, self._known(rules), most=MAX_MESSAGES)

    def _estimated(self, rules: Rules) -> Seeds:
        return EstimatedSeeds(self._known(rules)) if rules.seed_tokens else NoSeeds()

    def _known(self, rules: Rules) -> SeedSizes:
        return self._sizes.setdefault(rules.seed_tokens, SeedSizes())
