"""What is to be counted: rows that no count has yet, and what each of them adds to which hour.

Messages and calls of models are taken in the order of their ids, which grow with the time at which they came, up to
where nobody can still be writing. A conversation says itself what is counted of it. Counting and reading go through
the same functions: what is not counted yet is counted for each answer, so an answer never waits for the counting.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any, NamedTuple

import sqlalchemy as sa

from convo_service.db.models import ActiveDay, AnalyticsCursor, Conversation, Message, ModelCall, User
from convo_service.db.models.talk import BEGUN, MISCOUNTED, NOT_COUNTED
from convo_service.domain.calendar import hour_of
from convo_service.domain.measures import NANO, SCALES
from convo_service.domain.people import NEVER, Chains, Day

MESSAGES, CONVERSATIONS, CALLS, TIME_ZONE = "messages", "conversations", "calls", "time_zone"  # cursors
GENERAL = "general"


class Key(NamedTuple):
    """What is counted, and when."""

    metric: str
    hour: datetime
    topic: str
    template: str
    cohort: str
    name: str


Counts = Counter[Key]
Row = Any


@dataclass(frozen=True, slots=True)
class Slice:
    """To whom a row belongs."""

    topic: str
    template: str | None
    cohort: str

    def key(self, metric: str, at: datetime, name: str) -> Key:
        """One figure of it."""
        return Key(metric, hour_of(at), self.topic, self.template or "", self.cohort, name)

    def measured(self, metric: str, at: datetime, value: int) -> Counts:
        """A value in its bucket."""
        bucket, total = SCALES[metric].names(value)
        return Counter({self.key(metric, at, bucket): 1, self.key(metric, at, total): value})


def positions(connection: sa.Connection, *, lock: str | None = None) -> dict[str, str]:
    """How far the counting is; `lock`: the cursor that nobody else may move until the transaction ends."""
    if lock is not None:
        mine = sa.select(AnalyticsCursor.name).where(AnalyticsCursor.name == lock)
        connection.execute(mine.with_for_update())
    return {
        row.name: row.position for row in connection.execute(sa.select(AnalyticsCursor.name, AnalyticsCursor.position))
    }


def messages(
    connection: sa.Connection, *, after: str, before: str | None = None, only: Sequence[str] | None = None, most: int
) -> Sequence[Row]:
    """Messages after a cursor, by id, with what they belong to; `only` these, up to the cursor in place of after it."""
    home = sa.and_(Conversation.user_id == Message.user_id, Conversation.id == Message.conversation_id)
    query = (
        sa.select(
            Message.id,
            Message.user_id,
            Message.topic,
            Message.direction,
            Message.sent_at,
            Conversation.template,
            User.cohort,
        )
        .join(User, User.id == Message.user_id)
        .outerjoin(Conversation, home)
        .order_by(Message.id)
        .limit(most)
    )
    if only is not None:
        return connection.execute(query.where(Message.id.in_(only), Message.id <= after)).all()
    return connection.execute(_between(query, Message.id, after, before)).all()


def calls(connection: sa.Connection, *, after: str, before: str | None = None, most: int) -> Sequence[Row]:
    """Calls of models after a cursor, by id."""
    home = sa.and_(Conversation.user_id == ModelCall.user_id, Conversation.id == ModelCall.conversation_id)
    query = sa.select(sa.func.coalesce(Conversation.topic, GENERAL).label("topic"), *ModelCall.__table__.c)
    query = query.select_from(ModelCall).outerjoin(Conversation, home).order_by(ModelCall.id).limit(most)
    return connection.execute(_between(query, ModelCall.id, after, before)).all()


def _between(query: Any, id_: Any, after: str, before: str | None) -> Any:
    query = query.where(id_ > after)
    return query if before is None else query.where(id_ < before)


def conversations(connection: sa.Connection, *, most: int, lock: bool = False) -> Sequence[Row]:
    """Conversations of which something is not counted; those that somebody is changing are left for the next time."""
    ids = {one for query in _uncounted(connection.dialect.name) for one in connection.scalars(query, {"most": most})}
    if not ids:
        return []
    query = _conversations().where(_C.id.in_(ids))
    return connection.execute(query.with_for_update(of=_C, skip_locked=True) if lock else query).all()


def _uncounted(dialect: str) -> list[sa.TextClause]:
    """Their ids. By its statistics SQLite may take few for many, and read all conversations: it is told not to."""
    is_sqlite = dialect == "sqlite"
    wheres = {"uncounted": f"counted_messages = {NOT_COUNTED}", "miscounted": MISCOUNTED[0 if is_sqlite else 1]}
    index = {name: f"INDEXED BY ix_conversations_{name}" if is_sqlite else "" for name in wheres}
    return [
        sa.text(f"SELECT id FROM conversations {index[name]} WHERE {where} LIMIT :most")  # noqa: S608 - our own words
        for name, where in wheres.items()
    ]


_C, _PARENT = sa.orm.aliased(Conversation, name="c"), sa.orm.aliased(Conversation, name="p")


def _conversations() -> sa.Select[Any]:
    its_parent = sa.and_(_PARENT.user_id == _C.user_id, _PARENT.id == _C.parent_conversation_id)
    names = "user_id id topic template cohort is_active created_at created_reason closed_at closed_reason"
    columns = [getattr(_C, name) for name in (*names.split(), "last_message_at", "message_count", "counted_messages")]
    return sa.select(*columns, _PARENT.last_inbound_at.label("before")).outerjoin(_PARENT, its_parent)


def of_messages(rows: Iterable[Row]) -> Counts:
    """One for each."""
    found: Counts = Counter()
    for row in rows:
        found[_slice(row).key("messages", row.sent_at, row.direction)] += 1
    return found


def of_conversation(row: Row) -> Counts:
    """Its beginning, the pause before it, and its end with its length; what was counted of it is moved."""
    mine, found = _slice(row), Counts()
    if row.counted_messages == NOT_COUNTED:
        found[mine.key("created", row.created_at, row.created_reason)] += 1
        if row.before is not None:
            silent = max(int((row.created_at - row.before).total_seconds()), 0)
            found.update(mine.measured("pause", row.created_at, silent))
    if not row.is_active:
        at = row.closed_at or row.last_message_at
        if row.counted_messages > BEGUN:
            found.subtract(mine.measured("length", at, row.counted_messages))
        else:
            found[mine.key("closed", at, row.closed_reason or "-")] += 1
        found.update(mine.measured("length", at, row.message_count))
    return found


def counted_messages(row: Row) -> int:
    """What is counted of a conversation from now on."""
    return BEGUN if row.is_active else int(row.message_count)


def of_call(row: Row) -> Counts:
    """Its tokens, its money, and how long it took."""
    mine, found = _slice(row), Counts()
    for name, value in _used(row).items():
        if value:
            found[mine.key("used", row.called_at, name)] += value
    if row.kind == "reply":
        for metric, value in (("latency", row.latency_ms), ("first_token", row.first_token_ms)):
            if value is not None:
                found.update(mine.measured(metric, row.called_at, max(value, 0)))
    return found


def _used(row: Row) -> Mapping[str, int]:
    if row.kind == "summary":
        return {
            "summaries": 1,
            "summary_input_tokens": row.input_tokens or 0,
            "summary_output_tokens": row.output_tokens or 0,
            "summary_cost": _nano(row.cost_usd),
        }
    if row.kind == "unanswered":
        return {"unanswered": 1, "unanswered_cost": _nano(row.cost_usd)}
    used = {
        "replies": 1,
        "input_tokens": row.input_tokens or 0,
        "cached_input_tokens": row.cached_input_tokens or 0,
        "output_tokens": row.output_tokens or 0,
        "cost": _nano(row.cost_usd),
    }
    if row.baseline_input_tokens is not None:
        used |= {"compared_input_tokens": row.input_tokens or 0, "baseline_input_tokens": row.baseline_input_tokens}
    if row.baseline_cost_usd is not None:
        used |= {"compared_cost": _nano(row.cost_usd), "baseline_cost": _nano(row.baseline_cost_usd)}
    return used


def _nano(money: float | None) -> int:
    return round((money or 0) * NANO)


def _slice(row: Row) -> Slice:
    return Slice(row.topic, row.template, row.cohort)


def chains(connection: sa.Connection, rows: Iterable[Row], zone: tzinfo) -> Chains:
    """What days of users messages add; days are those of one zone."""
    days = {
        (row.user_id, row.sent_at.astimezone(zone).date()): row.cohort for row in rows if row.direction == "inbound"
    }
    found = Chains(_known(connection, {user for user, _ in days}, min((day for _, day in days), default=NEVER)))
    for (user_id, day), cohort in sorted(days.items()):
        found.add(user_id, day, cohort)
    return found


def _known(connection: sa.Connection, users: Iterable[str], first: date) -> Mapping[str, list[Day]]:
    """The days of users from the last one before `first` on."""
    earlier = sa.orm.aliased(ActiveDay)
    before = sa.select(sa.func.max(earlier.day)).where(earlier.user_id == ActiveDay.user_id, earlier.day < first)
    begin = sa.func.coalesce(before.scalar_subquery(), sa.literal(NEVER, sa.Date))
    query = sa.select(ActiveDay.user_id, ActiveDay.day, ActiveDay.previous, ActiveDay.cohort)
    query = query.where(ActiveDay.user_id.in_(list(users)), ActiveDay.day >= begin)
    found: defaultdict[str, list[Day]] = defaultdict(list)
    for row in connection.execute(query.order_by(ActiveDay.user_id, ActiveDay.day)):
        found[row.user_id].append(Day(row.day, row.previous, row.cohort))
    return found
