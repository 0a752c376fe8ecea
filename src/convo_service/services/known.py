"""What is here already of the users whom a batch of the bot's people are."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from convo_service.db.models import Conversation, Message, Profile, RemoteId, User, UserIdentity
from convo_service.domain.adoption import Stored, Window
from convo_service.domain.ids import new_id
from convo_service.domain.legacy import FIELDS, BotConversation, BotProfile, Person
from convo_service.domain.tally import Count, Tally


class Known:
    """Read once per batch; with `lock` nobody else changes these users until the transaction ends.

    `claimed` are ids of conversations that count as taken though no row says so.
    """

    def __init__(self, connection: sa.Connection, people: Sequence[Person], claimed: set[str], *, lock: bool) -> None:
        self._connection = connection
        values = [identity.value for person in people for identity in person.identities]
        identities = sa.select(UserIdentity.value, UserIdentity.user_id).where(UserIdentity.value.in_(values))
        self.owners: dict[str, str] = {row.value: row.user_id for row in connection.execute(identities)}
        self.persons = self._by_user(people)
        known = sorted(self.persons.keys() & set(self.owners.values()))
        self.users = self._users(known, lock=lock)
        self.windows = self._windows(known)
        self.messages = self._messages(known)
        self.profiles = self._profiles(known)
        self._taken = self._taken_ids(people) | claimed

    def _by_user(self, people: Sequence[Person]) -> dict[str, Person]:
        """People by the user they are; two whose numbers belong to one user are one."""
        persons: dict[str, Person] = {}
        for person in people:
            known = (self.owners[one.value] for one in person.identities if one.value in self.owners)
            user_id = next(known, None) or new_id("usr")
            persons[user_id] = persons[user_id].joined(person) if user_id in persons else person
        return persons

    def _users(self, known: Sequence[str], *, lock: bool) -> dict[str, sa.Row[Any]]:
        columns: list[Any] = [
            User.first_seen_at,
            User.last_seen_at,
            User.conversation_count,
            User.message_count,
            User.cohort,
        ]
        found = sa.select(User.id, *columns).where(User.id.in_(known)).order_by(User.id)
        return {row.id: row for row in self._connection.execute(found.with_for_update() if lock else found)}

    def _windows(self, known: Sequence[str]) -> defaultdict[str, list[Window]]:
        columns = (
            Conversation.id, Conversation.number, Conversation.identity, Conversation.created_at,
            Conversation.last_message_at, Conversation.last_inbound_at, Conversation.inbound_received_at,
            Conversation.is_active, Conversation.closed_at, Conversation.created_reason, Conversation.closed_reason,
            Conversation.parent_conversation_id.label("parent_id"), Conversation.message_count,
        )  # fmt: skip
        found = sa.select(Conversation.user_id, *columns).where(Conversation.user_id.in_(known))
        windows: defaultdict[str, list[Window]] = defaultdict(list)
        for user_id, *values in self._connection.execute(found.order_by(Conversation.user_id, Conversation.number)):
            named = dict(zip((column.key for column in columns), values, strict=True))
            windows[user_id].append(Window(**named))
        return windows

    def _messages(self, known: Sequence[str]) -> defaultdict[str, dict[str, Stored]]:
        columns = (Message.user_id, Message.id, Message.conversation_id, Message.sent_at)
        messages: defaultdict[str, dict[str, Stored]] = defaultdict(dict)
        for row in self._connection.execute(sa.select(*columns).where(Message.user_id.in_(known))):
            messages[row.user_id][row.id] = Stored(row.conversation_id, row.sent_at)
        return messages

    def _profiles(self, known: Sequence[str]) -> dict[str, BotProfile]:
        columns = [getattr(Profile, name) for name in FIELDS]
        found = sa.select(Profile.user_id, Profile.updated_at, *columns).where(Profile.user_id.in_(known))
        return {
            row.user_id: BotProfile({name: getattr(row, name) for name in FIELDS}, row.updated_at)
            for row in self._connection.execute(found)
        }

    def _taken_ids(self, people: Iterable[Person]) -> set[str]:
        ids = [one.id for person in people for one in person.conversations]
        return set(self._connection.scalars(sa.select(RemoteId.remote_id).where(RemoteId.remote_id.in_(ids))))

    def meets_first(self, user_id: str, person: Person) -> bool:
        """Whether nothing of the bot's was taken for this user before."""
        taken = any(window.is_imported for window in self.windows[user_id])
        return not taken and self.messages[user_id].keys().isdisjoint(one.id for one in person.messages)

    def with_free_ids(self, user_id: str, person: Person, tally: Tally) -> list[BotConversation]:
        """The conversations whose id is nobody else's: it belongs to the first who had it."""
        own = {window.id for window in self.windows[user_id]}
        free = [one for one in person.conversations if one.id in own or one.id not in self._taken]
        tally[Count.IDS_TAKEN] += len(person.conversations) - len(free)
        self._taken |= {one.id for one in free}
        return free
