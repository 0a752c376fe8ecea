"""The statements of a message that goes on with its conversation: all that is written for it, and no more.

PostgreSQL carries them out as one. It sees the database as it was when the statement began, so it writes only if nobody
has moved the user's version since; SQLite's writer is alone and carries them out one after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import sqlalchemy as sa

from convo_service.db.engine import database_time, epoch
from convo_service.db.models import Conversation, Message, Opening, Seed, Turn, User, UserIdentity
from convo_service.db.models.base import UtcDateTime
from convo_service.db.prepared import Driver, Prepared, Row
from convo_service.db.records import labelled
from convo_service.db.statements import table_of
from convo_service.domain.rollout import Cohort
from convo_service.domain.sweep import NEAR
from convo_service.services.turn_queue import LEASE_SECONDS, OPEN

# The last moments of a window are left to the exact rule: here times are rounded.
MARGIN_SECONDS = 1.0


TopicOf = Literal["said", "likely", "current"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What the statements depend on beside their parameters."""

    by_user_id: bool
    aliases: int
    is_turn: bool
    topic: TopicOf = "said"


def arrive(driver: Driver, kind: Kind, given: Mapping[str, Any]) -> Row | None:
    """Store a message that goes on with its conversation; None when something has to be decided first.

    `given`: a value for each parameter, by its name here. Raises the driver's error when the same message came in this
    very moment, too. Returns the conversation's columns, and those of its seed, labelled.
    """
    values = {f"p_{name}": value for name, value in given.items()}
    statements = _prepared(kind, driver.dialect)
    if len(statements) == 1:
        return driver.fetch(statements[0], values)
    found, user, conversation, *inserts = statements
    goes_on = driver.fetch(found, values)
    if goes_on is None:
        return None
    values |= {"p_user_id": goes_on["user_id"], "p_conversation_id": goes_on["conversation_id"]}
    values["p_topic"] = goes_on.get("topic", given["topic"])
    driver.fetch(user, values)
    joined = driver.fetch(conversation, values)
    for insert in inserts:
        driver.fetch(insert, values)
    return {**goes_on, **(joined or {})}


@lru_cache
def _prepared(kind: Kind, dialect: sa.Dialect) -> list[Prepared]:
    """On PostgreSQL one, on SQLite one after the other."""
    if dialect.name == "postgresql":
        return [Prepared(_as_one(kind), dialect)]
    return [Prepared(_found(kind), dialect), *(Prepared(one, dialect) for one in _one_by_one(kind))]


def _as_one(kind: Kind) -> sa.Select[Any]:
    found = _found(kind).cte("found")
    nobody_moved = _USERS.c.version == found.c.version
    user = _user(found.c.user_id).where(nobody_moved).returning(_USERS.c.id).cte("counted")
    joined = _conversation(user.c.id, found.c.conversation_id).cte("joined")
    user_id, conversation_id = joined.c["conversations.user_id"], joined.c["conversations.id"]
    topic = _p("topic", sa.String) if kind.topic == "said" else joined.c["conversations.topic"]
    message = _message(user_id, conversation_id, topic).cte("stored")
    seed = [found.c[column.name] for column in labelled(Seed)]
    whole = sa.select(*joined.c, *seed).select_from(joined.join(found, sa.true())).add_cte(message)
    return whole.add_cte(_turn(user_id).cte("entered")) if kind.is_turn else whole


def _one_by_one(kind: Kind) -> list[sa.UpdateBase]:
    user_id, conversation_id = _p("user_id", sa.String), _p("conversation_id", sa.String)
    inserts = [_message(user_id, conversation_id, _p("topic", sa.String)), *([_turn(user_id)] if kind.is_turn else [])]
    return [_user(user_id), _conversation(user_id, conversation_id), *inserts]


def _found(kind: Kind) -> sa.Select[Any]:
    """The conversation that a message goes on with, when nothing has to be decided."""
    columns = [
        _USERS.c.id.label("user_id"),
        _USERS.c.version.label("version"),
        _CONVERSATIONS.c.id.label("conversation_id"),
        *([] if kind.topic == "said" else [_CONVERSATIONS.c.topic.label("topic")]),
        *labelled(Seed),
    ]
    same_user = _CONVERSATIONS.c.user_id == _USERS.c.id
    its_seed = sa.and_(_SEEDS.c.user_id == _USERS.c.id, _SEEDS.c.conversation_id == _CONVERSATIONS.c.id)
    if kind.by_user_id:
        named, tables = _USERS.c.id, _USERS.join(_CONVERSATIONS, same_user)
    else:
        named = _IDENTITIES.c.value
        tables = _IDENTITIES.join(_USERS, _IDENTITIES.c.user_id == _USERS.c.id).join(_CONVERSATIONS, same_user)
    nothing_else = [
        *(_has(_other, _other.c.value == _p(f"alias_{number}")) for number in range(kind.aliases)),
        ~_has(_OPENINGS, *([_OPENINGS.c.topic == _p("topic")] if kind.topic == "said" else [])),
        ~_has(_MESSAGES, _MESSAGES.c.external_id == _p("external_id")),
        *([~_has(_TURNS, OPEN)] if kind.is_turn else []),
    ]
    where = [named == _p("identity"), _CONVERSATIONS.c.topic == _topic(kind), *_goes_on(), *nothing_else]
    return sa.select(*columns).select_from(tables.outerjoin(_SEEDS, its_seed)).where(*where)


def _goes_on() -> list[sa.ColumnElement[bool]]:
    """What `domain.window` would say of the conversation; all that is in doubt is left to it."""
    silent = _p("sent_epoch", sa.Double) - epoch(_CONVERSATIONS.c.last_inbound_at)
    is_inside = silent < _CONVERSATIONS.c.timeout_seconds - MARGIN_SECONDS
    has_room = _CONVERSATIONS.c.message_count < sa.func.coalesce(_CONVERSATIONS.c.max_messages, _p("cap", sa.Integer))
    return [
        _USERS.c.rollout == _p("rollout"),
        _CONVERSATIONS.c.is_active,
        _CONVERSATIONS.c.owed_items.is_(sa.null()),
        _CONVERSATIONS.c.cohort == _USERS.c.cohort,
        _CONVERSATIONS.c.last_inbound_at <= _p("sent_at"),
        _CONVERSATIONS.c.timeout_seconds >= _p("quiet_seconds", sa.Double),
        sa.or_(_USERS.c.cohort == Cohort.HOLDOUT.value, sa.and_(is_inside, has_room)),
    ]


def _topic(kind: Kind) -> sa.ColumnElement[str]:
    """The topic of a message: as it was said, or likely, or that of the one before it (`Arrivals._with_topic`)."""
    if kind.topic == "said":
        return _p("topic")
    before = sa.select(_MESSAGES.c.topic).where(
        _MESSAGES.c.user_id == _USERS.c.id, _MESSAGES.c.sent_at <= _p("sent_at")
    )
    newest = before.order_by(_MESSAGES.c.sent_at.desc(), _MESSAGES.c.id.desc()).limit(1).scalar_subquery()
    current = sa.func.coalesce(newest, sa.literal_column("'general'"))
    if kind.topic == "current":
        return current
    return sa.case((_USERS.c.cohort == Cohort.HOLDOUT.value, current), else_=_p("topic", sa.String))


def _has(table: sa.FromClause, *where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether the user has such a row."""
    return sa.select(sa.literal(1)).select_from(table).where(table.c.user_id == _USERS.c.id, *where).exists()


def _user(user_id: sa.ColumnElement[str]) -> sa.Update:
    counted = _USERS.update().where(_USERS.c.id == user_id)
    return counted.values(
        version=_USERS.c.version + 1,
        message_count=_USERS.c.message_count + 1,
        talk_tokens=_USERS.c.talk_tokens + _p("tokens"),
        last_seen_at=_later(_USERS.c.last_seen_at, _p("sent_at")),
    )


def _conversation(
    user_id: sa.ColumnElement[str], conversation_id: sa.ColumnElement[str]
) -> "sa.sql.dml.ReturningUpdate[Any]":
    table = _CONVERSATIONS
    quiet_at, count = _p("quiet_at"), table.c.message_count + 1
    sooner = sa.case((table.c.sweep_at < quiet_at, table.c.sweep_at), else_=quiet_at)
    joined = table.update().where(table.c.user_id == user_id, table.c.id == conversation_id)
    return joined.values(
        message_count=count,
        talk_tokens=table.c.talk_tokens + _p("tokens"),
        last_message_at=_later(table.c.last_message_at, _p("sent_at")),
        last_inbound_at=_p("sent_at"),
        inbound_received_at=_p("received_at"),
        sweep_at=sa.case((count == _near_cap(table.c.max_messages), _p("received_at")), else_=sooner),
    ).returning(*labelled(Conversation))


def _near_cap(own_cap: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """`domain.sweep.near_cap` of the conversation's own cap, else of the installation's."""
    fifth = own_cap // sa.literal_column("5", sa.Integer)
    near = own_cap - sa.case((fifth < 1, 1), (fifth > NEAR, NEAR), else_=fifth)
    return sa.case((own_cap.is_(None), _p("near_cap", sa.Integer)), (near < 1, 1), else_=near)


def _message(
    user_id: sa.ColumnElement[str], conversation_id: sa.ColumnElement[str], topic: sa.ColumnElement[str]
) -> sa.Insert:
    return _insert(
        _MESSAGES,
        user_id=user_id,
        id=_p("message_id", sa.String),
        topic=topic,
        conversation_id=conversation_id,
        answered_conversation_id=conversation_id,
        direction=sa.literal("inbound"),
        text=_p("text", sa.Text),
        command_length=sa.literal(0),
        external_id=_p("external_id", sa.String),
        sent_at=_p("sent_at"),
        received_at=_p("received_at"),
        late=sa.false(),
    )


def _turn(user_id: sa.ColumnElement[str]) -> sa.Insert:
    return _insert(
        _TURNS,
        user_id=user_id,
        id=_p("turn_id", sa.String),
        number=sa.literal(1),
        message_id=_p("message_id", sa.String),
        status=sa.literal("in_progress"),
        attempt_id=_p("attempt_id", sa.String),
        lease_until=database_time() + LEASE_SECONDS,
        uncertain=sa.false(),
        created=sa.false(),
        created_at=_p("received_at"),
    )


def _insert(table: sa.Table, **values: sa.ColumnElement[Any]) -> sa.Insert:
    return table.insert().from_select(list(values), sa.select(*values.values()), include_defaults=False)


def _later(known: sa.ColumnElement[Any], given: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.case((known < given, given), else_=known)


def _p(name: str, type_: Any = None) -> sa.BindParameter[Any]:
    """A parameter; one that is named as a column is would be taken for that column's value."""
    return sa.bindparam(f"p_{name}", type_=UtcDateTime() if type_ is None and name.endswith("_at") else type_)


_IDENTITIES, _USERS = table_of(UserIdentity), table_of(User)
_CONVERSATIONS, _SEEDS, _OPENINGS = table_of(Conversation), table_of(Seed), table_of(Opening)
_MESSAGES, _TURNS = table_of(Message), table_of(Turn)
_other = _IDENTITIES.alias("other_identities")
