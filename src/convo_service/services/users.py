"""Users and the identities they are known by. Whoever writes rows of a user locks the user's row first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Conversation, Message, Profile, User, UserIdentity
from convo_service.db.statements import insert_ignore
from convo_service.domain.identities import USER_ID, Identity, normalise
from convo_service.domain.ids import new_id
from convo_service.domain.rollout import Rollout
from convo_service.errors import Contended, IdentityTaken, UserNotFound
from convo_service.services import tombstones
from convo_service.services.tombstones import Marker
from convo_service.settings import Settings


@dataclass(frozen=True, slots=True)
class UserView:
    """A user with what belongs to her, as the API shows it."""

    user: User
    identities: Sequence[str]
    display_name: str | None
    active_conversations: Sequence[Conversation]
    last_inbound_at: datetime | None  # the last that she said


def rollout(settings: Settings) -> Rollout:
    """Who is inside the rollout; raises InvalidIdentity."""
    always = frozenset(normalise(raw).value for raw in settings.rollout_identities)
    return Rollout(settings.rollout_percent, always)


async def lock(tx: AsyncSession, user_id: str) -> User:
    """Return the user, locked until the transaction ends: the writes of one user happen one after the other.

    The version moves, so that whoever decided by what he read before writes nothing. Raises UserNotFound, also of a
    user who is being erased.
    """
    there = (User.id == user_id, User.erasure_id.is_(None))
    locked = sa.update(User).where(*there).values(version=User.version + 1).returning(User)
    user = await tx.scalar(locked, execution_options={"synchronize_session": False})
    if user is None:
        raise UserNotFound
    return user


def is_erased(user_id: sa.orm.InstrumentedAttribute[str]) -> sa.ColumnElement[bool]:
    """Whether the user of a row is being erased; what is left of such a user is not there for anybody."""
    return sa.exists().where(User.id == user_id, User.erasure_id.is_not(None))


def move_on(connection: sa.Connection, user_ids: Iterable[str]) -> None:
    """Move the versions of many users who are locked already."""
    connection.execute(sa.update(User).where(User.id.in_(list(user_ids))).values(version=User.version + 1))


async def arrive(
    tx: AsyncSession, identity: str, aliases: Iterable[str], *, at: datetime, rollout: Rollout, marker: Marker
) -> tuple[User, bool]:
    """Find the user by identity (or else by an alias) or create one, and link what is new; the user is locked.

    A number that belongs to somebody with another BSUID than the one it comes with moves to the one it comes with.

    Returns the user, and whether one of the aliases belongs to somebody else.
    """
    given = None if USER_ID.fullmatch(identity) else normalise(identity)
    named = [*([given] if given else []), *(normalise(alias) for alias in aliases)]
    owners = await _owners(tx, named)
    recycled = await _recycled(tx, named, owners)
    for number in recycled:
        owners.pop(number)
    known = identity if given is None else next((owners[one.value] for one in named if one.value in owners), None)
    user = await _lock_named(tx, known, given) if known is not None else await _create(tx, named[0], at, rollout)
    await _release(tx, recycled)
    taken = any(owners.get(one.value, user.id) != user.id for one in named)
    # In one order for everybody, so that two requests with the same names wait for each other and not in a circle.
    for one in sorted(named, key=lambda one: one.value):
        if one.value not in owners:
            linked = await _link(tx, user, one, at, marker)
            if not linked and known is None:
                raise Contended  # somebody made a user of the same name in this moment: that one is it
            taken |= not linked
    await _judge_cohort(tx, user, rollout)
    return user, taken


async def find(tx: AsyncSession, identity: str) -> User:
    """Find a user by any identity or by the user's own id; raises UserNotFound."""
    if USER_ID.fullmatch(identity):
        return await get(tx, identity)
    value = normalise(identity).value
    user = await tx.scalar(
        sa.select(User).join(UserIdentity).where(UserIdentity.value == value)
    )  # no erased one has any
    if user is None:
        raise UserNotFound
    return user


async def get(tx: AsyncSession, user_id: str) -> User:
    """Return a user by id; raises UserNotFound."""
    user = await tx.get(User, user_id)
    if user is None or user.erasure_id is not None:
        raise UserNotFound
    return user


async def link(tx: AsyncSession, user_id: str, raw: str, *, at: datetime, marker: Marker) -> User:
    """Give a user another identity; one that belongs to somebody else raises IdentityTaken."""
    user = await lock(tx, user_id)
    if not await _link(tx, user, normalise(raw), at, marker):
        raise IdentityTaken
    user.rollout = ""  # which may name the new identity
    return user


async def views(tx: AsyncSession, users: Sequence[User]) -> list[UserView]:
    """Complete users with identities, names and active conversations: four statements for a whole page."""
    ids = [user.id for user in users]
    identities = (
        await tx.scalars(
            sa.select(UserIdentity)
            .where(UserIdentity.user_id.in_(ids))
            .order_by(UserIdentity.created_at, UserIdentity.value)
        )
    ).all()
    profiles = {row.user_id: row for row in await tx.scalars(sa.select(Profile).where(Profile.user_id.in_(ids)))}
    active = (
        await tx.scalars(
            sa.select(Conversation)
            .options(sa.orm.joinedload(Conversation.seed))
            .where(Conversation.user_id.in_(ids), Conversation.is_active)
            .order_by(Conversation.topic)
        )
    ).all()
    last = {row.id: row.last_inbound_at for row in await tx.execute(_last_inbound(ids))}
    return [
        UserView(
            user=user,
            identities=[row.value for row in identities if row.user_id == user.id],
            display_name=display_name(profiles.get(user.id)),
            active_conversations=[row for row in active if row.user_id == user.id],
            last_inbound_at=last.get(user.id),
        )
        for user in users
    ]


def _last_inbound(user_ids: Sequence[str]) -> "sa.Select[str, datetime]":
    """When each of these said something last; read from the end of each thread, however long it is."""
    said = sa.select(Message.sent_at).where(Message.user_id == User.id, Message.direction == "inbound")
    newest = said.order_by(Message.sent_at.desc(), Message.id.desc()).limit(1)
    return sa.select(User.id, newest.scalar_subquery().label("last_inbound_at")).where(User.id.in_(user_ids))


def display_name(profile: Profile | None) -> str | None:
    """The person's name, else the company's, else nothing."""
    if profile is None:
        return None
    person = " ".join(part for part in (profile.name, profile.last_name) if part)
    return person or profile.ragione_sociale


async def _owners(tx: AsyncSession, identities: Sequence[Identity]) -> dict[str, str]:
    rows = await tx.execute(
        sa.select(UserIdentity.value, UserIdentity.user_id).where(
            UserIdentity.value.in_([identity.value for identity in identities])
        )
    )
    return {row.value: row.user_id for row in rows}


async def _recycled(tx: AsyncSession, named: Sequence[Identity], owners: Mapping[str, str]) -> dict[str, str]:
    """Numbers that came with a BSUID, and belong to somebody with another one: a number's next holder is no relation.

    With whom each is, still.
    """
    bsuids = {one.value for one in named if one.kind == "bsuid"}
    numbers = {one.value: owners[one.value] for one in named if one.kind == "phone" and one.value in owners}
    if not bsuids or not numbers or set(numbers.values()) <= {owners.get(one) for one in bsuids}:
        return {}
    others = sa.select(UserIdentity.user_id).where(
        UserIdentity.user_id.in_(numbers.values()), UserIdentity.kind == "bsuid", UserIdentity.value.not_in(bsuids)
    )
    strangers = set(await tx.scalars(others)) - {owners.get(one) for one in bsuids}
    return {number: owner for number, owner in numbers.items() if owner in strangers}


async def _release(tx: AsyncSession, numbers: Mapping[str, str]) -> None:
    """Take numbers away from those who had them; what was said under them stays theirs."""
    for user_id in sorted(set(numbers.values())):
        await lock(tx, user_id)
    if numbers:
        await tx.execute(sa.delete(UserIdentity).where(UserIdentity.value.in_(numbers)))


async def _lock_named(tx: AsyncSession, user_id: str, given: Identity | None) -> User:
    """Lock a user who was found by a name: in this moment she may be erased, or merged, and the name another's."""
    try:
        return await lock(tx, user_id)
    except UserNotFound:
        if given is None:
            raise  # it was she who was asked for
        raise Contended from None


async def _create(tx: AsyncSession, identity: Identity, at: datetime, rollout: Rollout) -> User:
    user_id = new_id("usr")
    cohort = rollout.cohort(user_id, [identity.value])
    user = User(id=user_id, cohort=cohort, first_seen_at=at, last_seen_at=at)
    tx.add(user)
    await tx.flush()
    return user


async def _link(tx: AsyncSession, user: User, identity: Identity, at: datetime, marker: Marker) -> bool:
    """Link an identity to a user; False when it belongs to somebody else."""
    row = {"value": identity.value, "user_id": user.id, "kind": identity.kind, "created_at": at}
    if await insert_ignore(tx, UserIdentity, row):
        await tombstones.beware(tx, user, identity.value, marker)
        return True
    return (await _owners(tx, [identity])).get(identity.value) == user.id


async def _judge_cohort(tx: AsyncSession, user: User, rollout: Rollout) -> None:
    """A changed rollout counts from the user's next message on."""
    identities: Sequence[str] = ()
    if not rollout.is_complete and rollout.always:
        identities = (await tx.scalars(sa.select(UserIdentity.value).where(UserIdentity.user_id == user.id))).all()
    cohort = rollout.cohort(user.id, identities)
    if user.cohort != cohort:
        user.cohort = cohort
    is_watched = user.repeats_until is not None or user.paused_until is not None
    mark = "" if is_watched else rollout.mark  # the quick way takes those who are judged
    if user.rollout != mark:
        user.rollout = mark
