"""What was said, replayed under other windows: what each reply would have read, and who would have been cut off."""

import math
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from heapq import heappop, heappush

from convo_service.domain.baseline import cached, item_tokens
from convo_service.domain.digest import Said
from convo_service.domain.record import carried_items
from convo_service.domain.simulated_seeds import Seeds
from convo_service.domain.window import CARRIED_AT_CAP, Arrival, Latest, Reason, WindowPolicy

TALKING = timedelta(hours=24)  # who wrote so lately still thinks of it as the same talk
CUTS = (Reason.IDLE_TIMEOUT, Reason.MESSAGE_CAP)
KEPT_DIGITS = 3  # of a prompt's size, rounded up: a million replies have a few hundred sizes


@dataclass(frozen=True, slots=True)
class Rules:
    """One combination: a window, a cap, and a budget for seeds (0: conversations start empty)."""

    timeout: timedelta
    cap: int
    seed_tokens: int
    endless: bool = False


ENDLESS = Rules(timedelta.max, sys.maxsize, 0, endless=True)


@dataclass(frozen=True, slots=True)
class Line:
    """One stored message: what belongs to the talk, whether a command opened it, whether its time is asked about."""

    said: Said
    is_command: bool = False
    counted: bool = True


@dataclass(slots=True)
class Tally:
    """What all replies under one combination add up to, in tokens."""

    replies: int = 0
    conversations: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cuts: int = 0  # conversations that ended within a day of the user's last message, and not by the user
    sizes: Counter[int] = field(default_factory=Counter)

    def reply(self, prompt: int, from_cache: int) -> None:
        """Count a reply."""
        self.replies += 1
        self.input_tokens += prompt
        self.cached_tokens += from_cache
        self.sizes[_rounded(prompt)] += 1

    def percentile(self, share: float) -> int:
        """The prompt that this share of the replies does not exceed, by nearest rank; 0 without replies."""
        left = math.ceil(share * self.replies)
        for size in sorted(self.sizes):
            left -= self.sizes[size]
            if left <= 0:
                return size
        return 0

    def saving(self, endless: "Tally") -> float | None:
        """The share of the endless conversation's input tokens that this one does without."""
        return 1 - self.input_tokens / endless.input_tokens if endless.input_tokens else None


class Talk:
    """The talk with one user under one combination, heard line by line in the order of time."""

    def __init__(self, rules: Rules, tally: Tally, seeds: Seeds, instructions: int) -> None:
        self._rules = rules
        self._policy = WindowPolicy(rules.cap, endless=rules.endless)
        self._tally = tally
        self._seeds = seeds
        self._instructions = instructions
        self._last_inbound_at: datetime | None = None  # of the user, or when it was opened; None: never yet
        self._count = 0
        self._size = 0  # of all items of the conversation
        self._last: deque[Said] = deque(maxlen=CARRIED_AT_CAP)
        self._asked: Line | None = None  # the user's message that has no reply yet
        self._replied: tuple[int, datetime] | None = None  # the last prompt, and when
        self._ready_made = False  # what answers a command alone is no model's, and no model reads it

    def hear(self, line: Line) -> None:
        """Go on by one message."""
        if line.said.direction == "inbound":
            self._hear_user(line)
        else:
            self._hear_bot(line)

    def _hear_user(self, line: Line) -> None:
        self._decide(line, has_message=True)
        self._last_inbound_at = line.said.sent_at
        self._ready_made = not line.said.text
        self._asked = None if self._ready_made else line
        self._add(line.said, item_tokens(line.said.text))

    def _hear_bot(self, line: Line) -> None:
        if self._last_inbound_at is None:  # a campaign: the gateway asks for a conversation without a message
            self._decide(line, has_message=False)
            self._last_inbound_at = line.said.sent_at
        if self._asked is not None:
            self._reply(self._asked)
        self._add(line.said, 0 if self._ready_made else item_tokens(line.said.text))
        self._ready_made = False

    def _decide(self, line: Line, *, has_message: bool) -> None:
        at = line.said.sent_at
        arrival = Arrival(at, has_message, line.is_command and not self._rules.endless)
        latest = None
        if self._last_inbound_at is not None:
            latest = Latest(self._last_inbound_at, self._rules.timeout, self._count)
        reason = self._policy.decide(arrival, latest, first=Reason.FIRST_CONTACT).reason
        if reason is not None:
            self._open(reason, line)

    def _open(self, reason: Reason, line: Line) -> None:
        at, before = line.said.sent_at, self._last_inbound_at
        if line.counted:
            self._tally.conversations += 1
            self._tally.cuts += reason in CUTS and before is not None and at - before < TALKING
        self._size = self._seeds.next(at) if before is not None else 0
        if reason is Reason.MESSAGE_CAP:
            self._size += sum(item_tokens(one["content"]) for one in carried_items(self._last))
        self._count, self._replied = 0, None
        self._last.clear()

    def _add(self, said: Said, tokens: int) -> None:
        if said.text:
            self._count += 1
            self._size += tokens
            self._last.append(said)
            self._seeds.hear(said)

    def _reply(self, asked: Line) -> None:
        """The prompt begins with that of the reply before, as far as that is the same conversation."""
        prompt, at = self._instructions + self._size, asked.said.sent_at
        if asked.counted:
            prefix, since = self._replied or (0, at)
            self._tally.reply(prompt, cached(prefix, (at - since).total_seconds()))
        self._replied, self._asked = (prompt, at), None


class Comparison:
    """All combinations side by side, and one endless conversation per user beside them."""

    def __init__(self, rules: Sequence[Rules], instructions: int) -> None:
        self.tallies = {one: Tally() for one in (*rules, ENDLESS)}
        self._instructions = instructions

    def talks(self, seeds: Callable[[Rules], Seeds]) -> list[Talk]:
        """The talks of the next user, one for each combination."""
        return [Talk(rules, tally, seeds(rules), self._instructions) for rules, tally in self.tallies.items()]


class Sample:
    """Some of the users, drawn by a hash of their id: the same ones each time, in whatever order they come.

    Those with the smallest hashes, as few as have `limit` messages together; `by_head`: so many users.
    """

    def __init__(self, limit: int, *, by_head: bool = False) -> None:
        self._limit = limit
        self._by_head = by_head
        self._weight = 0
        self._hashes: list[tuple[int, str]] = []  # the largest hash first
        self.users: dict[str, int] = {}  # who is in it, with how many messages

    def offer(self, user_id: str, messages: int) -> None:
        """Take a user in, and let those go that are not needed any more."""
        heappush(self._hashes, (-_hash(user_id), user_id))
        self.users[user_id] = messages
        self._weight += self._weigh(user_id)
        while self._weight - self._weigh(self._hashes[0][1]) >= self._limit:
            _, too_many = heappop(self._hashes)
            self._weight -= self._weigh(too_many)
            del self.users[too_many]

    def _weigh(self, user_id: str) -> int:
        return 1 if self._by_head else self.users[user_id]


def _hash(user_id: str) -> int:
    return int.from_bytes(blake2b(user_id.encode(), digest_size=8).digest())


def _rounded(size: int) -> int:
    step = int(10 ** max(len(str(size)) - KEPT_DIGITS, 0))
    return -(-size // step) * step
