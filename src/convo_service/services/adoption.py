"""What an adoption writes: users, conversations, messages and profiles of a batch of the bot's people."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from convo_service.db.models import Base, Conversation, Message, Profile, RemoteId, User, UserIdentity
from convo_service.db.statements import Row, insert_all, update_all
from convo_service.domain.adoption import Settled, Window, settle
from convo_service.domain.legacy import BotMessage, BotProfile, Person, added, merged
from convo_service.domain.tally import Count, Tally
from convo_service.services import profiles, sizes, tallies, tallying, tombstones, users
from convo_service.services.arrivals import GENERAL
from convo_service.services.known import Known
from convo_service.services.tombstones import Marker
from convo_service.settings import Settings


class Adoption:
    """Takes people over, by the settings of this installation; `now` is the wall clock.

    `is_current`: the tables are those of today, and not of the revision that adopts the bot, which knows no sizes yet.
    `marker`: tells who was erased, and is not to come back; at the adoption nobody was.
    """

    def __init__(self, settings: Settings, now: datetime, *, is_current: bool, marker: Marker | None = None) -> None:
        self._is_current = is_current
        self._marker = marker
        self._timeout = settings.window.total_seconds()
        self._rollout = users.rollout(settings)
        self._now = now
        self._zone = settings.analytics_timezone
        self._claimed: set[str] = set()  # by a dry run, which leaves no row for the next batch to see

    def take(self, connection: sa.Connection, people: Sequence[Person], *, write: bool = True) -> Tally:
        """Take a batch inside the caller's transaction, and count; without `write` only count what would be taken.

        What is here is read first and what is new written last, one statement per table: a batch costs the same few
        statements whether it holds one person or hundreds.
        """
        tally = Tally()
        if write and self._is_current:  # before anybody is locked: whoever counts may wait for a user
            tallies.positions(connection, lock=tallies.MESSAGES)
        here = Known(connection, self._welcome(connection, people, tally), self._claimed, lock=write)
        rows = _Rows()
        for user_id, found in here.persons.items():
            person = replace(found, conversations=here.with_free_ids(user_id, found, tally))
            settled = settle(person, here.windows[user_id], here.messages[user_id], self._now)
            cohort = self._add_user(rows, user_id, person, settled, here)
            self._add_windows(rows, user_id, settled, cohort)
            rows.new[Message] += [_message(user_id, *one) for one in settled.stored]
            rows.changed[Message] += [_placed(user_id, *one) for one in settled.placed]
            _add_profile(rows, user_id, person, here, tally)
            _count(tally, person, settled, is_known=user_id in here.users)
        if write:
            rows.write(connection)
            if self._is_current:
                sizes.recount(connection, here.persons)
                users.move_on(connection, here.persons)
                tallying.catch_up(connection, [row["id"] for row in rows.new[Message]], self._zone)
        else:
            self._claimed |= {row["remote_id"] for row in rows.new[RemoteId]}
        return tally

    def _welcome(self, connection: sa.Connection, people: Sequence[Person], tally: Tally) -> Sequence[Person]:
        """The people but those who were erased here: whoever came back since is somebody new, without a past."""
        if self._marker is None:
            return people
        values = [identity.value for person in people for identity in person.identities]
        erased = tombstones.erased(connection, values, self._marker)
        welcome = [person for person in people if erased.isdisjoint(one.value for one in person.identities)]
        tally[Count.ERASED] += len(people) - len(welcome)
        return welcome

    def _add_user(self, rows: "_Rows", user_id: str, person: Person, settled: Settled, here: Known) -> str:
        """Make the user, or add to the one that is here; returns the cohort."""
        seen = [min(one.at, self._now) for one in person.messages] or [one.created_at for one in settled.windows]
        seen = seen or [self._now]
        new = [identity for identity in person.identities if identity.value not in here.owners]
        rows.new[UserIdentity] += [
            {"value": one.value, "user_id": user_id, "kind": one.kind, "created_at": min(seen)} for one in new
        ]
        stored, opened = len(settled.stored), sum(window.is_new for window in settled.windows)
        known = here.users.get(user_id)
        if known is None:
            cohort = self._rollout.cohort(user_id, [one.value for one in new]).value
            row = {"id": user_id, "cohort": cohort, "first_seen_at": min(seen), "last_seen_at": max(seen)}
            rows.new[User].append({**row, "conversation_count": opened, "message_count": stored})
            return cohort
        row = {
            "id": user_id,
            "first_seen_at": min(known.first_seen_at, *seen),
            "last_seen_at": max(known.last_seen_at, *seen),
            "conversation_count": known.conversation_count + opened,
            "message_count": known.message_count + stored,
        }
        if stored or opened:
            rows.changed[User].append(row)
        return str(known.cohort)

    def _add_windows(self, rows: "_Rows", user_id: str, settled: Settled, cohort: str) -> None:
        for window in settled.windows:
            if window.is_new:
                rows.new[RemoteId].append({"remote_id": window.id})
                rows.new[Conversation].append(
                    {
                        **_window(user_id, window),
                        "number": window.number,
                        "topic": GENERAL,
                        "cohort": cohort,
                        "identity": window.identity,
                        "created_at": window.created_at,
                        "created_reason": window.created_reason,
                        "parent_conversation_id": window.parent_id,
                        "timeout_seconds": self._timeout,
                    }
                )
            elif window.is_changed:
                rows.changed[Conversation].append(_window(user_id, window))


def _window(user_id: str, window: Window) -> Row:
    """What messages and closing change of a conversation."""
    return {
        "user_id": user_id,
        "id": window.id,
        "is_active": window.is_active,
        "last_message_at": window.last_message_at,
        "last_inbound_at": window.last_inbound_at,
        "inbound_received_at": max(window.last_inbound_at, window.inbound_received_at or window.last_inbound_at),
        "closed_at": None if window.is_active else window.closed_at or window.last_message_at,
        "closed_reason": window.closed_reason,
        "message_count": window.message_count,
    }


def _message(user_id: str, message: BotMessage, home: str | None) -> Row:
    return {
        "user_id": user_id,
        "id": message.id,
        "topic": GENERAL,
        "conversation_id": home,
        "answered_conversation_id": home,
        "direction": message.direction,
        "text": message.text,
        "command_length": 0,
        "sent_at": message.at,
        "received_at": message.at,
        "late": False,
    }


def _placed(user_id: str, message: BotMessage, home: str) -> Row:
    return {"user_id": user_id, "id": message.id, "conversation_id": home, "answered_conversation_id": home}


def _add_profile(rows: "_Rows", user_id: str, person: Person, here: Known, tally: Tally) -> None:
    given, known = merged(person.profiles), here.profiles.get(user_id)
    if given is None:
        return
    if known is None:
        rows.new[Profile].append(_profile(user_id, given))
        tally.update((Count.PROFILES, *given.oddities))
        tally[Count.PROFILES_INCOMPLETE] += not given.is_complete
    elif more := added(known, given, first=here.meets_first(user_id, person)):
        times = [one.updated_at for one in (known, given) if one.updated_at is not None]
        joined = BotProfile({**known.fields, **more}, max(times, default=None))
        rows.changed[Profile].append(_profile(user_id, joined))
        tally[Count.PROFILES_JOINED] += 1


def _profile(user_id: str, profile: BotProfile) -> Row:
    searched = profiles.searched(*(profile.fields[name] for name in ("name", "last_name", "ragione_sociale")))
    return {"user_id": user_id, **profile.fields, "search_text": searched, "updated_at": profile.updated_at}


def _count(tally: Tally, person: Person, settled: Settled, *, is_known: bool) -> None:
    new = {window.id for window in settled.windows if window.is_new}
    opened = len(new)
    tally[Count.PEOPLE_KNOWN if is_known else Count.PEOPLE] += 1
    tally[Count.CONVERSATIONS] += opened
    tally[Count.CONVERSATIONS_KNOWN] += len({one.id for one in person.conversations} - new)
    tally[Count.CONVERSATIONS_CLOSED] += settled.superseded
    tally[Count.MESSAGES] += len(settled.stored)
    tally[Count.MESSAGES_KNOWN] += len(person.messages) - len(settled.stored)
    tally[Count.MESSAGES_PLACED] += len(settled.placed)
    for conversation in person.conversations:
        tally.update(conversation.oddities if conversation.id in new else ())
    for message, home in settled.stored:
        tally.update(message.oddities)
        tally[Count.HOMELESS] += home is None


class _Rows:
    """What a batch writes, collected per table."""

    def __init__(self) -> None:
        self.new: defaultdict[type[Base], list[Row]] = defaultdict(list)
        self.changed: defaultdict[type[Base], list[Row]] = defaultdict(list)

    def write(self, connection: sa.Connection) -> None:
        """Write it. A conversation is closed before the next one of its user is opened."""
        self._insert(connection, User, UserIdentity, RemoteId)
        self._update(connection, Conversation)
        self._insert(connection, Conversation, Message, Profile)
        self._update(connection, Message, Profile, User)

    def _insert(self, connection: sa.Connection, *models: type[Base]) -> None:
        for model in models:
            insert_all(connection, model, self.new[model])

    def _update(self, connection: sa.Connection, *models: type[Base]) -> None:
        for model in models:
            update_all(connection, model, self.changed[model])
