"""Counting ahead for analytics: a little in each sweep, everything once, by any number of replicas.

Whoever counts locks the cursor, and moves it in the transaction that adds to the counts: cut off anywhere, it is made
again from where it was. A message or a call is counted once its id is so old that whoever made it has long committed;
a conversation is counted when its row says that something of it is not.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count as count_up
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from convo_service.db.engine import Database
from convo_service.db.models import (
    ActiveDay,
    AnalyticsCount,
    AnalyticsCursor,
    AnalyticsPeople,
    Base,
    Conversation,
    Message,
)
from convo_service.db.models.talk import NOT_COUNTED
from convo_service.db.statements import table_of
from convo_service.domain.calendar import day_of, week_hour
from convo_service.domain.ids import id_of
from convo_service.domain.people import Chains
from convo_service.services import tallies
from convo_service.services.arrivals import Clock
from convo_service.services.tallies import CALLS, CONVERSATIONS, MESSAGES, TIME_ZONE, Counts

AT_ONCE = 500  # rows in a transaction: a running service hardly waits for it
BATCHES = 40  # of each kind in a pass, so that the sweep has time for the rest
# Longer than any transaction may take, and than the replicas' clocks may differ: an id is made before its row is there.
GRACE = timedelta(minutes=5)

BEFORE_ALL = " "  # the cursor of conversations while their marks are taken away, at the beginning

Advance = Callable[[int], None]  # is told how many more messages are counted


@dataclass(frozen=True, slots=True)
class Tallying:
    """Counts, by days of `zone`; any number may run at once."""

    database: Database
    clock: Clock
    zone: str

    async def run_once(self) -> Counter[str]:
        """One pass: how many messages, conversations and calls were counted."""
        return await self._pass(BATCHES, lambda _count: None)

    async def rebuild(self, watch: Callable[[int], Advance]) -> Counter[str]:
        """Count everything anew. What was erased or has expired since is in no count any more.

        Other replicas may go on counting; stopped in the middle, any worker carries it through.
        """
        async with self.database.write.begin() as tx:
            total = int(await tx.scalar(sa.select(sa.func.count()).select_from(Message)) or 0)
            await tx.run_sync(lambda session: _forget(session.connection(), self.zone))
        return await self._pass(None, watch(total))

    async def _pass(self, batches: int | None, advance: Advance) -> Counter[str]:
        bound = self.clock() - GRACE
        done: Counter[str] = Counter()
        for kind, count in KINDS.items():
            for _ in count_up() if batches is None else range(batches):
                async with self.database.write.begin() as tx:
                    number = await tx.run_sync(_within(count, bound, self.zone))
                if not number:
                    break
                done[kind] += number
                if kind == MESSAGES:
                    advance(number)
        return +done


Count = Callable[[sa.Connection, datetime, str], int]


def _within(count: Count, bound: datetime, zone: str) -> Callable[[sa.orm.Session], int]:
    return lambda session: count(session.connection(), bound, zone)


def catch_up(connection: sa.Connection, ids: Sequence[str], zone: str) -> None:
    """Count imported messages, whose ids have the time at which they were said: the cursor may be past them already.

    The caller has locked the cursor, in the transaction that brings them.
    """
    known = tallies.positions(connection)
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        _count_messages(
            connection, tallies.messages(connection, after=known[MESSAGES], only=some, most=AT_ONCE), known, zone
        )


def _messages(connection: sa.Connection, bound: datetime, zone: str) -> int:
    known = tallies.positions(connection, lock=MESSAGES)
    rows = tallies.messages(connection, after=known[MESSAGES], before=_id("msg", bound), most=AT_ONCE)
    if rows:
        _count_messages(connection, rows, known, zone)
        _move(connection, MESSAGES, rows[-1].id)
    return len(rows)


def _count_messages(connection: sa.Connection, rows: Sequence[Any], known: dict[str, str], zone: str) -> None:
    """Count messages inside the caller's transaction, which holds their cursor; `known`: the cursors."""
    if not known[TIME_ZONE]:
        _move(connection, TIME_ZONE, zone)
    write(connection, tallies.of_messages(rows))
    _write_days(connection, tallies.chains(connection, rows, ZoneInfo(known[TIME_ZONE] or zone)))


def _conversations(connection: sa.Connection, _bound: datetime, _zone: str) -> int:
    if tallies.positions(connection, lock=CONVERSATIONS)[CONVERSATIONS]:
        return 0  # not before all marks are away
    rows = tallies.conversations(connection, most=AT_ONCE, lock=True)
    found: Counts = Counter()
    for row in rows:
        found.update(tallies.of_conversation(row))
    write(connection, found)
    if rows:
        table = table_of(Conversation)
        mine = (table.c.user_id == sa.bindparam("of_user"), table.c.id == sa.bindparam("of_id"))
        marks = [{"of_user": row.user_id, "of_id": row.id, "mark": tallies.counted_messages(row)} for row in rows]
        connection.execute(sa.update(table).where(*mine).values(counted_messages=sa.bindparam("mark")), marks)
    return len(rows)


def _calls(connection: sa.Connection, bound: datetime, _zone: str) -> int:
    known = tallies.positions(connection, lock=CALLS)
    rows = tallies.calls(connection, after=known[CALLS], before=_id("call", bound), most=AT_ONCE)
    found: Counts = Counter()
    for row in rows:
        found.update(tallies.of_call(row))
    write(connection, found)
    if rows:
        _move(connection, CALLS, rows[-1].id)
    return len(rows)


def _id(prefix: str, bound: datetime) -> str:
    return id_of(prefix, int(bound.timestamp() * 1000), 0)


def _move(connection: sa.Connection, name: str, position: str) -> None:
    connection.execute(sa.update(AnalyticsCursor).where(AnalyticsCursor.name == name).values(position=position))


def write(connection: sa.Connection, counts: Counts) -> None:
    """Add to the counts of hours and of days."""
    rows: Counter[tuple[Any, ...]] = Counter()
    for key, total in counts.items():
        more = (key.topic, key.template, key.cohort, key.name)
        rows[key.metric, "hour", key.hour, *more] += total
        rows[key.metric, "day", day_of(key.hour), *more] += total
    names = ("metric", "span", "begins_at", "topic", "template", "cohort", "name")
    found = [
        {**dict(zip(names, key, strict=True)), "week_hour": week_hour(key[2]), "total": total}
        for key, total in sorted(rows.items())
        if total
    ]
    _add(connection, AnalyticsCount, "total", found)


def _write_days(connection: sa.Connection, chains: Chains) -> None:
    links = [
        {"day": day, "previous": previous, "cohort": cohort, "users": users}
        for (day, previous, cohort), users in sorted(chains.links.items())
        if users
    ]
    _add(connection, AnalyticsPeople, "users", links)
    table, changed = table_of(ActiveDay), sorted(chains.changed.items())
    new = [
        {"user_id": user_id, "day": day, "previous": one.previous, "cohort": one.cohort}
        for (user_id, day), one in changed
        if one.is_new
    ]
    if new:
        connection.execute(sa.insert(table), new)
    relinked = [
        {"of_user": user_id, "of_day": day, "link": one.previous} for (user_id, day), one in changed if not one.is_new
    ]
    if relinked:
        mine = (table.c.user_id == sa.bindparam("of_user"), table.c.day == sa.bindparam("of_day"))
        connection.execute(sa.update(table).where(*mine).values(previous=sa.bindparam("link")), relinked)


def _add(connection: sa.Connection, model: type[Base], column: str, rows: list[dict[str, Any]]) -> None:
    """Insert rows, or add to those of the same key."""
    if not rows:
        return
    table = table_of(model)
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    total = table.c[column] + insert.excluded[column]
    connection.execute(insert.on_conflict_do_update(index_elements=list(table.primary_key), set_={column: total}), rows)


def _forget(connection: sa.Connection, zone: str) -> None:
    """Nothing is counted; the marks of conversations go little by little, before any is counted again."""
    for name in (MESSAGES, CONVERSATIONS, CALLS):
        tallies.positions(connection, lock=name)
    if connection.dialect.name == "postgresql":  # there may be many days, and nobody waits for them
        connection.execute(sa.select(sa.func.set_config("statement_timeout", "0", True)))
    for model in (AnalyticsCount, AnalyticsPeople, ActiveDay):
        connection.execute(sa.delete(model))
    for name, position in ((MESSAGES, ""), (CALLS, ""), (CONVERSATIONS, BEFORE_ALL), (TIME_ZONE, zone)):
        _move(connection, name, position)


def _unmark(connection: sa.Connection, _bound: datetime, _zone: str) -> int:
    """Take the marks of the next conversations away, for a rebuild; whatever was counted of them is forgotten."""
    table, after = table_of(Conversation), tallies.positions(connection, lock=CONVERSATIONS)[CONVERSATIONS]
    if not after:
        return 0
    some = sa.select(table.c.id).where(table.c.id > after).order_by(table.c.id).limit(AT_ONCE)
    ids = list(connection.scalars(some))
    connection.execute(sa.update(table).where(table.c.id.in_(ids)).values(counted_messages=NOT_COUNTED))
    _move(connection, CONVERSATIONS, ids[-1] if ids else "")
    return len(ids)


KINDS: dict[str, Count] = {MESSAGES: _messages, "marks": _unmark, CONVERSATIONS: _conversations, CALLS: _calls}
