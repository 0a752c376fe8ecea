"""Adoption of the existing bot: read person by person, taken over in batches, in place or from a file."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from convo_service.db import faults
from convo_service.db.engine import Database
from convo_service.db.legacy import BotTables, ForeignDatabase, is_the_bots, snapshot
from convo_service.domain.legacy import Person, Reader
from convo_service.domain.tally import Count, Tally
from convo_service.services.adoption import Adoption
from convo_service.services.pepper import Pepper
from convo_service.services.tombstones import Marker
from convo_service.settings import Settings

MESSAGES_AT_ONCE = 2000  # a transaction of about a tenth of a second: a running service hardly waits for it
PEOPLE_AT_ONCE = 500
TRIES = 5
RETRY_SECONDS = 0.5

Progress = Callable[[int], None]  # is told how many more messages were read
Watch = Callable[[int], Progress]  # is told how many there are, and gives whom to tell the progress


def adopt(connection: sa.Connection, settings: Settings, *, prefix: str, now: datetime, watch: Watch) -> Tally:
    """Take over the bot whose tables lie in the same database, inside the caller's transaction."""
    tables = BotTables(connection, prefix)
    progress = watch(tables.message_count())
    reader = Reader(settings.legacy_zone, now)
    adoption = Adoption(settings, now, is_current=False)
    tally = Tally()
    for people in batches(tables, reader):
        tally += adoption.take(connection, people)
        progress(_size(people))
    return tally + reader.tally


async def import_file(
    database: Database,
    settings: Settings,
    file: Path,
    *,
    now: datetime,
    dry_run: bool,
    watch: Watch,
) -> Tally:
    """Take what a bot's file has into a running installation; what was taken before is left as it is.

    Raises ForeignDatabase, and sqlite3.Error when the file cannot be read.
    """
    reader = Reader(settings.legacy_zone, now)
    marker = Marker(await Pepper(database, settings).read())
    adoption = Adoption(settings, now, is_current=True, marker=marker)
    tally = Tally()
    with snapshot(file) as source:
        if not is_the_bots(source):
            raise ForeignDatabase("it is empty")
        tables = BotTables(source)
        progress = watch(tables.message_count())
        for people in batches(tables, reader):
            tally += await _in_a_transaction(database, adoption, people, dry_run=dry_run)
            progress(_size(people))
    return tally + reader.tally


def batches(tables: BotTables, reader: Reader) -> Iterator[list[Person]]:
    """Everybody in the bot's tables; a person is never cut in two, so each is taken over in one moment."""
    joined, refused = tables.gather()
    reader.tally[Count.NUMBERS_JOINED] += joined
    reader.tally[Count.IDENTITIES_REFUSED] += refused
    batch: list[Person] = []
    for raw in tables.people():
        batch.append(reader.person(raw))
        conversations = sum(len(person.conversations) for person in batch)
        if max(len(batch), conversations) >= PEOPLE_AT_ONCE or _size(batch) >= MESSAGES_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _size(people: Sequence[Person]) -> int:
    return sum(len(person.messages) for person in people)


async def _in_a_transaction(
    database: Database, adoption: Adoption, people: Sequence[Person], *, dry_run: bool
) -> Tally:
    """Take one batch; what passes is waited out, and whoever wrote to the service in this moment is found again."""
    sessions = database.read if dry_run else database.write
    for attempt in range(1, TRIES + 1):
        try:
            async with sessions.begin() as tx:
                return await tx.run_sync(lambda session: adoption.take(session.connection(), people, write=not dry_run))
        except sa.exc.DBAPIError as error:
            passes = isinstance(error, sa.exc.IntegrityError) or faults.is_passing(error)
            if not passes or attempt == TRIES:
                raise
        await asyncio.sleep(RETRY_SECONDS * attempt)
    raise AssertionError
