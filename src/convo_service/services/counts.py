"""What keys and users have used of their rates: counted in this process, and settled with the other replicas' counts.

`limits` has no storage in SQL, and one that asked the database would be another round trip for each message.
"""

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa
from limits.storage import Storage
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import Database
from convo_service.db.models import RateCount
from convo_service.services.arrivals import Clock
from convo_service.services.pepper import Pepper

MINUTE = 60
# So few in a minute are told to nobody: nearly every user writes fewer messages, and each would cost a row.
QUIET = 4
AT_ONCE = 1000  # rows of one statement


Name = tuple[str, float]  # of a count, and the end of its window


@dataclass(slots=True)
class Count:
    """One name in one window."""

    told: int = 0  # by all replicas, when it was settled last
    untold: int = 0  # here since then

    @property
    def total(self) -> int:
        """As far as it is known here."""
        return self.told + self.untold


class Counts(Storage):
    """A storage of `limits` for fixed windows that begin at the same time everywhere."""

    STORAGE_SCHEME = None
    base_exceptions = ()

    def __init__(self, clock: Clock, pepper: Pepper) -> None:
        super().__init__()
        self._clock = clock
        self._pepper = pepper
        self._windows: dict[float, dict[str, Count]] = {}  # by their ends
        self._owed: set[Name] = set()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and return how many that makes; a negative amount takes back."""
        now = self._clock().timestamp()
        ends_at, name = now - now % expiry + expiry, self._hidden(key)
        window = self._windows.setdefault(ends_at, {})
        if amount < 0 and name not in window:
            return 0  # what is taken back was counted in a window that is over
        count = window.setdefault(name, Count())
        count.untold += amount
        if count.untold and (count.told or expiry > MINUTE or count.untold > QUIET):
            self._owed.add((name, ends_at))
        return count.total

    def get(self, key: str) -> int:
        """How many it is now."""
        window = self._windows.get(self.get_expiry(key), {})
        return window[self._hidden(key)].total if window else 0

    def get_expiry(self, key: str) -> float:
        """When its window ends, in seconds since 1970."""
        now, name = self._clock().timestamp(), self._hidden(key)
        return next((ends for ends, window in self._windows.items() if ends > now and name in window), now)

    def check(self) -> bool:
        """Memory is always there."""
        return True

    def reset(self) -> int:
        """Forget all that was counted here."""
        self._windows.clear()
        self._owed.clear()
        return 0

    def clear(self, key: str) -> None:
        """Forget what was counted here of one name."""
        for window in self._windows.values():
            window.pop(self._hidden(key), None)

    async def settle(self, database: Database) -> None:
        """Tell the others what was counted here, learn what they counted, and forget windows that are over."""
        now = self._clock().timestamp()
        for ended in [ends for ends in self._windows if ends <= now]:
            del self._windows[ended]
        if not self._windows:
            return
        owed, self._owed = self._owed, set()
        told = {(name, ends): count.untold for name, ends in owed if (count := self._find(name, ends)).untold}
        try:
            async with (database.write if told else database.read).begin() as tx:
                if told:
                    await _add(tx, told, now)
                known = await _known(tx, now)
        except BaseException:
            self._owed |= owed
            raise
        for (name, ends), used in known.items():
            count = self._find(name, ends)
            count.told, count.untold = used, count.untold - told.get((name, ends), 0)

    def _hidden(self, key: str) -> str:
        """What stands for a name: there are so few telephone numbers that a hash without a secret would tell them."""
        secret = self._pepper.at_hand[: hashlib.blake2b.MAX_KEY_SIZE]
        return hashlib.blake2b(key.encode(), digest_size=24, key=secret, person=b"counts").hexdigest()

    def _find(self, name: str, ends: float) -> Count:
        return self._windows.setdefault(ends, {}).setdefault(name, Count())


async def _add(tx: AsyncSession, amounts: dict[Name, int], now: float) -> None:
    """Add to the counts that all replicas share, in one order for everybody, and remove those that are over."""
    dialect = sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql
    rows = [{"name": name, "ends_at": ends, "used": used} for (name, ends), used in sorted(amounts.items())]
    for begin in range(0, len(rows), AT_ONCE):
        insert = dialect.insert(RateCount).values(rows[begin : begin + AT_ONCE])
        added = {"used": RateCount.used + insert.excluded.used}
        key = [RateCount.name, RateCount.ends_at]
        await tx.execute(insert.on_conflict_do_update(index_elements=key, set_=added))
    await clear(tx, now)


async def clear(tx: AsyncSession, now: float) -> int:
    """Remove what was counted in windows that are over, and say how many rows that was."""
    over = sa.delete(RateCount).where(RateCount.ends_at <= now).returning(RateCount.name)
    return len((await tx.scalars(over)).all())


async def _known(tx: AsyncSession, now: float) -> dict[Name, int]:
    found = await tx.execute(
        sa.select(RateCount.name, RateCount.ends_at, RateCount.used).where(RateCount.ends_at > now)
    )
    return {(row.name, row.ends_at): row.used for row in found}
