"""How much a key and a user may have in a time: requests, turns, and resets."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.strategies import FixedWindowRateLimiter

from convo_service.domain.commands import command_length
from convo_service.domain.identities import USER_ID, normalise
from convo_service.errors import RateLimited, ResetBudgetSpent, TooMany, TooManyLogins, TurnBudgetSpent
from convo_service.services.arrivals import Call, Clock
from convo_service.services.counts import Counts
from convo_service.services.pepper import Pepper
from convo_service.settings import Settings

MOST_NAMES = 10_000  # whose users are remembered
WRONG_KEYS_PER_MINUTE = 10  # from one address, at the dashboard's door


class Spending:
    """What one request has used of a user's budgets so far."""

    def __init__(self, name: str, counted_as: str) -> None:
        self.taken: list[RateLimitItem] = []
        self.name = name
        self.counted_as = counted_as
        self.user_id: str | None = None  # whose it turned out to be
        self.is_nothing_new = False  # a repeat, which was counted the first time


class Budgets:
    """Counts without asking the database: of a user by her id once an answer has told it, before by her name."""

    def __init__(self, settings: Settings, clock: Clock, pepper: Pepper) -> None:
        self.counts = Counts(clock, pepper)
        self._users: dict[str, str] = {}  # by what a request called them
        self._clock = clock
        self._limiter = FixedWindowRateLimiter(self.counts)
        self._commands = settings.reset_words
        self._requests = RateLimitItemPerMinute(settings.rate_limit_per_minute, namespace="requests")
        self._turns = RateLimitItemPerMinute(settings.user_turns_per_minute, namespace="turns")
        self._resets = RateLimitItemPerHour(settings.user_resets_per_hour, namespace="resets")
        self._logins = RateLimitItemPerMinute(WRONG_KEYS_PER_MINUTE, namespace="logins")

    def admit(self, key_id: str) -> None:
        """Count a request of a key; raises RateLimited."""
        self._take(self._requests, key_id, RateLimited)

    @contextmanager
    def of_message(self, call: Call) -> Iterator[Spending]:
        """Count a message, and a reset when it is `/new`, unless the block fails or says that it is nothing new.

        Raises TurnBudgetSpent and ResetBudgetSpent, before anything is stored, and InvalidIdentity.
        """
        name = call.identity if USER_ID.fullmatch(call.identity) else normalise(call.identity).value
        with self._spending(name) as spending:
            if call.message is not None:
                self._spend(spending, self._turns, TurnBudgetSpent)
                if command_length(call.message.text, self._commands):
                    self._spend(spending, self._resets, ResetBudgetSpent)
            yield spending

    @contextmanager
    def of_reset(self, user_id: str) -> Iterator[None]:
        """Count a reset by hand, unless the block fails; raises ResetBudgetSpent."""
        with self._spending(f"operator:{user_id}") as spending:
            self._spend(spending, self._resets, ResetBudgetSpent)
            yield

    @contextmanager
    def of_login(self, address: str) -> Iterator[None]:
        """Count an attempt to sign in that fails; raises TooManyLogins before the key is looked at."""
        self._take(self._logins, address, TooManyLogins)
        yield
        self._limiter.hit(self._logins, address, cost=-1)

    @contextmanager
    def _spending(self, name: str) -> Iterator[Spending]:
        spending = Spending(name, self._users.get(name, name))
        try:
            yield spending
        except BaseException:
            spending.is_nothing_new = True
            raise
        finally:
            if spending.is_nothing_new:
                for limit in spending.taken:
                    self._limiter.hit(limit, spending.counted_as, cost=-1)
            elif spending.user_id is not None:
                self._learn(spending, spending.user_id)

    def _learn(self, spending: Spending, user_id: str) -> None:
        """From now on this name is counted as this user, with what it has used just now."""
        if spending.counted_as == user_id:
            return
        if len(self._users) >= MOST_NAMES:
            self._users.clear()
        self._users[spending.name] = user_id
        for limit in spending.taken:
            self._limiter.hit(limit, spending.counted_as, cost=-1)
            self._limiter.hit(limit, user_id)

    def _spend(self, spending: Spending, limit: RateLimitItem, error: type[TooMany]) -> None:
        spending.taken.append(limit)
        self._take(limit, spending.counted_as, error)

    def _take(self, limit: RateLimitItem, name: str, error: type[TooMany]) -> None:
        if not self._limiter.hit(limit, name):
            left = self._limiter.get_window_stats(limit, name).reset_time - self._clock().timestamp()
            raise error(retry_after=max(math.ceil(left), 1))
