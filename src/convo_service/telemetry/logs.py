"""Structured logs: constant event names, ids as fields; no message text, phone number or key at any level."""

import logging
import sys
import time
import traceback
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# These libraries write bodies, statements or addresses into their debug lines, so they never get below warning.
_TALKATIVE = (
    "openai",
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "aiosqlite",
    "asyncio",
    "sqlalchemy",
    "asyncpg",
    "urllib3",
)


def get_logger() -> Any:
    """Return a logger whose calls read `log.info("event_name", field=value)`."""
    return structlog.get_logger()


def configure_logging(*, format_: str = "auto", level: str = "info") -> None:
    """Send our own events and those of the libraries through one pipeline to standard error.

    `format_` is `json`, `console`, or `auto`: console on a terminal, else JSON.
    """
    as_json = format_ == "json" or (format_ == "auto" and not sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_request_id,
        _exception_without_its_message,
    ]
    renderer: Processor = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_first_line, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


class Seldom:
    """Whether it is time to say something again that would else be said with every message."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def __call__(self) -> bool:
        """True once in so many seconds."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


def failure(error: BaseException) -> dict[str, Any]:
    """Fields that describe an error without its message: drivers repeat the statement's values in theirs."""
    fields: dict[str, Any] = {"error": type(error).__name__}
    original = getattr(error, "orig", None) or error.__cause__
    if original is not None:
        fields["cause"] = type(original).__name__
    sqlstate = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    if sqlstate:
        fields["sqlstate"] = sqlstate
    return fields


def crash(error: BaseException) -> dict[str, Any]:
    """The same of an error that nobody expected, with the lines of code it went through."""
    return {**failure(error), "frames": _frames(error.__traceback__)}


def _add_request_id(_logger: Any, _method: str, event: EventDict) -> EventDict:
    current = request_id.get()
    if current is not None:
        event.setdefault("request_id", current)
    return event


def _first_line(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Of a library's message: asyncio shows a failed task below, with what its error says."""
    event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _exception_without_its_message(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace a traceback by its class and its lines of code: the message may hold what a user wrote."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event.update(crash(error))
    return event


def _frames(trace: TracebackType | None, most: int = 12) -> list[str]:
    frames = traceback.extract_tb(trace)[-most:]
    return [f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
