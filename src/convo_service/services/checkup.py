"""What `doctor` looks at: each check says what it saw, and what to do where something is wrong."""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db import migrations
from convo_service.db.engine import Database, database_time
from convo_service.db.models import ApiKey, Conversation, Opening, RemoteGarbage, Summary
from convo_service.settings import Settings

Verdict = Literal["ok", "warning", "problem"]

CLOCK_TOLERANCE_SECONDS = 5.0
SCARCE_BYTES = 1 << 30
NO_ROOM_BYTES = 100 << 20
LAG = timedelta(minutes=10)
DAY = timedelta(days=1)
MANY_TRIES = 5  # within about an hour


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `advice` is what to do, empty when all is well."""

    about: str
    verdict: Verdict
    detail: str
    advice: str = ""


async def of_database(database: Database, settings: Settings, now: datetime) -> AsyncIterator[Check]:
    """What the database tells; raises the driver's errors when there is none."""
    async with database.read.begin() as tx:
        revision = await migrations.current_revision(tx)
        if not migrations.serves(revision):
            state = f"is at revision {revision}, this code at {migrations.HEAD}" if revision else "was never migrated"
            yield Check("database", "problem", f"{settings.database_address} {state}", _after(revision))
            return
        yield Check("database", "ok", f"{settings.database_address} answers, at revision {revision}")
        yield await _clock(tx, now)
        yield await _keys(tx, settings, now)
        yield await _sweep(tx, settings, now)
        yield await _openings(tx, now)
        yield await _garbage(tx)
        yield await _summaries(tx, settings, now)


async def of_surroundings(settings: Settings) -> AsyncIterator[Check]:
    """What needs neither the database nor OpenAI."""
    yield _pepper(settings)
    if settings.sqlite_file is not None:
        yield _disk(settings.sqlite_file)


def _after(revision: str | None) -> str:
    is_older = revision is None or migrations.knows(revision)
    return "Run: convo-service migrate" if is_older else "Use the version that migrated it, or a newer one"


async def _clock(tx: AsyncSession, now: datetime) -> Check:
    """Leases go by the database's clock, windows by ours."""
    apart = abs(float(await tx.scalar(sa.select(database_time())) or 0) - now.timestamp())
    if apart <= CLOCK_TOLERANCE_SECONDS:
        return Check("clock", "ok", "agrees with the database's")
    return Check("clock", "problem", f"{apart:.0f} s apart from the database's", "Set both by NTP")


async def _keys(tx: AsyncSession, settings: Settings, now: datetime) -> Check:
    count = sum(key.is_live(now) for key in await tx.scalars(sa.select(ApiKey)))
    if count or settings.bootstrap_admin_key is not None:
        bootstrap = ", and BOOTSTRAP_ADMIN_KEY" if settings.bootstrap_admin_key is not None else ""
        return Check("keys", "ok", f"{count} active{bootstrap}")
    advice = "Make one: convo-service keys create --name my-gateway --scope gateway"
    return Check("keys", "warning", "nobody has a key", advice)


async def _sweep(tx: AsyncSession, settings: Settings, now: datetime) -> Check:
    """A conversation that was due long ago and not looked at: nobody sweeps."""
    late = now - max(LAG, 5 * timedelta(seconds=settings.sweep_interval_seconds))
    due = sa.select(sa.func.count()).where(Conversation.sweep_at <= late)
    count = int(await tx.scalar(due) or 0)
    if not count:
        return Check("worker", "ok", "no conversation waits for the sweep")
    advice = "Leave WORKER_ENABLED on, or run: convo-service worker"
    return Check("worker", "warning", f"{count:,} conversations have been waiting for the sweep", advice)


async def _openings(tx: AsyncSession, now: datetime) -> Check:
    """A conversation that is owed for long, and that nobody works on: each message and each sweep tries to open it."""
    free = Opening.lease_until <= database_time()
    late = sa.select(sa.func.count()).where(free, Opening.opened_at <= now - LAG)
    count = int(await tx.scalar(late) or 0)
    if not count:
        return Check("openings", "ok", "no conversation is owed to anybody")
    advice = "OpenAI refuses it, or nobody sweeps: see openai_failed in the log, then run: convo-service sweep"
    return Check(
        "openings", "problem", f"{count:,} conversations could not be opened for more than ten minutes", advice
    )


async def _garbage(tx: AsyncSession) -> Check:
    """What has to be deleted at OpenAI, for an erasure or because nobody uses it, and is there still."""
    row = RemoteGarbage
    late = row.not_before <= database_time() - LAG.total_seconds()
    counts = sa.select(
        sa.func.count(), sa.func.count().filter(row.tries >= MANY_TRIES), sa.func.count().filter(late)
    ).select_from(row)
    every, refused, left = (await tx.execute(counts)).one()
    if refused:
        detail = f"{refused:,} of {every:,} could not be deleted in {MANY_TRIES} tries or more"
        return Check("garbage", "warning", detail, "See openai_failed in the log: is the key another project's now?")
    if left:
        detail = f"{left:,} of {every:,} should have been deleted at OpenAI by now"
        return Check("garbage", "warning", detail, "Leave WORKER_ENABLED on, or run: convo-service worker")
    return Check("garbage", "ok", f"{every:,} to be deleted at OpenAI, none of them late")


async def _summaries(tx: AsyncSession, settings: Settings, now: datetime) -> Check:
    model = settings.model_for_summaries
    if not settings.summarize_old_conversations:
        return Check("summaries", "ok", "switched off: seeds are made without a model")
    if model is None:
        advice = "Set OPENAI_MODEL or SUMMARY_MODEL"
        return Check("summaries", "warning", "no model is set: seeds are made without one", advice)
    states = sa.select(Summary.state, sa.func.count()).where(Summary.asked_at > now - DAY).group_by(Summary.state)
    counts = {str(state): int(count) for state, count in await tx.execute(states)}
    strong = settings.summary_model_strong
    model = f"{model} and {strong}" if strong is not None else model
    told = ", ".join(f"{count:,} {state}" for state, count in sorted(counts.items())) or "none"
    lost = sum(counts.values()) - counts.get("kept", 0) - counts.get("asked", 0)
    if lost > counts.get("kept", 0):
        return Check("summaries", "warning", f"by {model}, last 24 hours: {told}", "See summary_answered in the log")
    return Check("summaries", "ok", f"by {model}, last 24 hours: {told}")


def _pepper(settings: Settings) -> Check:
    if settings.key_pepper is not None:
        return Check("pepper", "ok", "KEY_PEPPER is set")
    if settings.is_sqlite:
        return Check("pepper", "ok", "a file beside the database: back it up with it")
    return Check("pepper", "warning", "lies in the database, beside the keys that it protects", "Set KEY_PEPPER")


def _disk(file: Path) -> Check:
    folder = next(folder for folder in file.resolve().parents if folder.exists())
    free = shutil.disk_usage(folder).free
    detail = f"{free / (1 << 30):,.1f} GiB free for {file.name}"
    if not os.access(folder, os.W_OK):
        return Check("disk", "problem", f"{folder} cannot be written to", "SQLite writes files beside the database")
    if free < NO_ROOM_BYTES:
        return Check("disk", "problem", detail, "Make room: a full disk stops all writing")
    if free < SCARCE_BYTES:
        return Check("disk", "warning", detail, "Make room")
    return Check("disk", "ok", detail)
