"""What `doctor` looks at: each check says what it saw, and what to do where something is wrong."""

import os
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db import migrations
from convo_service.db.engine import Database, database_time
from convo_service.db.models import ApiKey, Conversation, Summary
from convo_service.errors import UpstreamUnavailable
from convo_service.llm.client import LLMClient
from convo_service.settings import Settings

Verdict = Literal["ok", "warning", "problem"]

ASK_SECONDS = 8.0
CLOCK_TOLERANCE_SECONDS = 5.0
SCARCE_BYTES = 1 << 30
NO_ROOM_BYTES = 100 << 20
LAG = timedelta(minutes=10)
DAY = timedelta(days=1)


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
        yield await _summaries(tx, settings, now)


async def of_surroundings(llm: LLMClient, settings: Settings) -> AsyncIterator[Check]:
    """What does not need the database."""
    yield _pepper(settings)
    if settings.sqlite_file is not None:
        yield _disk(settings.sqlite_file)
    yield await _openai(llm, settings)


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


async def _summaries(tx: AsyncSession, settings: Settings, now: datetime) -> Check:
    model = settings.model_for_summaries
    if not settings.summarize_old_conversations:
        return Check("summaries", "ok", "switched off: seeds are made without a model")
    if model is None:
        advice = "Set OPENAI_MODEL or SUMMARY_MODEL"
        return Check("summaries", "warning", "no model is set: seeds are made without one", advice)
    states = sa.select(Summary.state, sa.func.count()).where(Summary.asked_at > now - DAY).group_by(Summary.state)
    counts = {str(state): int(count) for state, count in await tx.execute(states)}
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


async def _openai(llm: LLMClient, settings: Settings) -> Check:
    """Whether the key is taken and the model is known; costs nothing."""
    if settings.openai_api_key is None:
        return Check("OpenAI", "problem", "OPENAI_API_KEY is not set", "Set it; to try the service: serve --emulator")
    model = settings.model_for_summaries or settings.openai_model
    try:
        await llm.look_up(model or "gpt-4o-mini", deadline=time.monotonic() + ASK_SECONDS)
    except UpstreamUnavailable as error:
        return _openai_fault(getattr(error.__cause__, "status_code", None), model)
    return Check("OpenAI", "ok", "the key is taken" + (f", {model} is there" if model else ""))


def _openai_fault(status: int | None, model: str | None) -> Check:
    if status in (401, 403):
        return Check("OpenAI", "problem", f"the key is refused ({status})", "Check OPENAI_API_KEY")
    if status == 404 and model is not None:
        return Check("OpenAI", "problem", f"{model} is not there", "Check OPENAI_MODEL and SUMMARY_MODEL")
    if status == 404:
        return Check("OpenAI", "ok", "the key is taken")
    said = f"answered {status}" if status else "cannot be reached"
    return Check("OpenAI", "problem", said, "Check OPENAI_BASE_URL, the network, and OpenAI's status page")
