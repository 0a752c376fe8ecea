"""What keys and users have used of their rates: counted in this process, and settled with the other replicas' counts.

`limits` has no storage in SQL, and one that asked the database for each message would cost more than the message.
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

MINUTE = 60
# So few in a minute are told to nobody: nearly every user writes fewer messages, and each would cost a row.
QUIET = 4
AT_ONCE = 1000  # rows of one statement


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

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._windows: dict[float, dict[str, Count]] = {}  # by their ends
        self._owed: set[tuple[float, str]] = set()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and return how many that makes; a negative amount takes back."""
        now = self._clock().timestamp()
        ends_at = now - now % expiry + expiry
        window = self._windows.setdefault(ends_at, {})
        if amount < 0 and key not in window:
            return 0  # what is taken back was counted in a window that is over
        count = window.setdefault(key, Count())
        count.untold += amount
        if count.untold and (count.told or expiry > MINUTE or count.untold > QUIET):
            self._owed.add((ends_at, key))
        return count.total

    def get(self, key: str) -> int:
        """How many it is now."""
        ends_at = self.get_expiry(key)
        return self._windows[ends_at][key].total if ends_at in self._windows else 0

    def get_expiry(self, key: str) -> float:
        """When its window ends, in seconds since 1970."""
        now = self._clock().timestamp()
        return next((ends for ends, window in self._windows.items() if ends > now and key in window), now)

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
            window.pop(key, None)

    async def settle(self, database: Database) -> None:
        """Tell the others what was counted here, learn what they counted, and forget windows that are over."""
        now = self._clock().timestamp()
        for ended in [ends for ends in self._windows if ends <= now]:
            del self._windows[ended]
        owed, self._owed = sorted(self._owed), set()
        mine = {(_hidden(key), ends): count for ends, key in owed if (count := self._windows.get(ends, {}).get(key))}
        if not mine:
            return
        sent = {name: count.untold for name, count in mine.items()}
        try:
            async with database.write.begin() as tx:
                totals = await _add(tx, sent)
                await tx.execute(sa.delete(RateCount).where(RateCount.ends_at <= now))
        except BaseException:
            self._owed.update(owed)
            raise
        for name, count in mine.items():
            count.told, count.untold = totals[name], count.untold - sent[name]


Name = tuple[str, float]  # of a count, and the end of its window


async def _add(tx: AsyncSession, amounts: dict[Name, int]) -> dict[Name, int]:
    """Add to the counts that all replicas share, in one order for everybody, and return what they are now."""
    dialect = sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql
    rows = [{"name": name, "ends_at": ends, "used": used} for (name, ends), used in sorted(amounts.items())]
    totals: dict[Name, int] = {}
    for begin in range(0, len(rows), AT_ONCE):
        insert = dialect.insert(RateCount).values(rows[begin : begin + AT_ONCE])
        added = insert.on_conflict_do_update(
            index_elements=[RateCount.name, RateCount.ends_at],
            set_={"used": RateCount.used + insert.excluded.used},
        ).returning(RateCount.name, RateCount.ends_at, RateCount.used)
        totals |= {(row.name, row.ends_at): row.used for row in await tx.execute(added)}
    return totals


def _hidden(key: str) -> str:
    """A telephone number stands in no table but its own."""
    return hashlib.blake2b(key.encode(), digest_size=24).hexdigest()
