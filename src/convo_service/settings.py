"""Every knob of the service, read from the process environment first, then from `.env`."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

MIN_BOOTSTRAP_KEY_CHARS = 32
DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
# `pgbouncer` is for us, as hosting panels spell it; the others are those of the driver that are texts. Another one, or
# one in a typing error, would only fail at the first connection.
POSTGRES_ARGUMENTS = {
    "host",
    "password",
    "passfile",
    "pgbouncer",
    "port",
    "prepared_statement_cache_size",
    "ssl",
    "target_session_attrs",
    "user",
}


class Settings(BaseSettings):
    """The names are those of the environment, in lower case; a blank value means unset."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    conversation_timeout_hours: float = Field(48, gt=0, le=24 * 365, allow_inf_nan=False)
    max_conversation_messages: int = Field(50, ge=1)
    max_context_messages: int = Field(50, ge=1, le=500)
    max_summary_messages: int = Field(20, ge=1)
    include_summary: bool = Field(
        True, validation_alias=AliasChoices("include_summary", "include_summary_in_new_conversations")
    )
    include_client_summary: bool = True
    summarize_old_conversations: bool = True
    summary_tokens: int = Field(300, ge=1)
    summary_min_tokens: int = Field(2000, ge=0)
    summary_strong_from_tokens: int = Field(8000, ge=0)
    summary_language: Literal["it", "en"] = "it"

    database_url: str = "sqlite+aiosqlite:///convo.db"

    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    openai_model: str | None = None
    summary_model: str | None = None
    summary_model_strong: str | None = None
    openai_timeout_seconds: float = Field(30, gt=0, le=600, allow_inf_nan=False)
    instructions: str | None = None
    bot_pause_minutes: float = Field(60, gt=0, le=43_200, allow_inf_nan=False)

    rollout_percent: float = Field(100, ge=0, le=100)
    rollout_users: str = ""
    reset_commands: str = "/new,/nuova,/reset"
    topics: Literal["off", "explicit", "auto"] = "off"
    legacy_timezone: str = "Europe/Rome"
    dashboard_timezone: str = "Europe/Rome"
    analytics_timezone: str = "Europe/Rome"

    worker_enabled: bool = True
    conversation_reserve: int = Field(10, ge=0, le=1000)
    sweep_interval_seconds: float = Field(60, gt=0, le=86_400, allow_inf_nan=False)
    idle_summary_after_minutes: float = Field(60, ge=0, le=60 * 24 * 365, allow_inf_nan=False)
    user_summaries_per_day: int = Field(4, ge=0)

    # None: for ever. A message is kept for longer than its webhook may be repeated.
    retention_messages_days: float | None = Field(None, ge=8, le=36_500, allow_inf_nan=False)
    retention_summaries_days: float | None = Field(None, ge=1, le=36_500, allow_inf_nan=False)
    retention_remotes_days: float | None = Field(None, ge=1, le=36_500, allow_inf_nan=False)
    rate_limit_per_minute: int = Field(6000, ge=1)
    user_turns_per_minute: int = Field(60, ge=1)
    user_resets_per_hour: int = Field(10, ge=1)

    bootstrap_admin_key: SecretStr | None = None
    key_pepper: SecretStr | None = None

    max_message_chars: int = Field(8000, ge=1)
    max_body_bytes: int = Field(262_144, ge=1024)

    otel_exporter_otlp_endpoint: str | None = None

    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="before")
    @classmethod
    def _blank_means_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        stripped = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
        return {name: value for name, value in stripped.items() if value != ""}

    @field_validator("database_url")
    @classmethod
    def _asyncio_driver(cls, url: str) -> str:
        """Plain URLs as hosting panels give them get the asyncio driver that this service ships with."""
        scheme, _, rest = url.partition("://")
        if scheme not in DRIVERS or not rest:
            raise ValueError("must begin with sqlite+aiosqlite:/// or postgresql+asyncpg://")
        if DRIVERS[scheme] == "sqlite+aiosqlite":
            return _sqlite(f"sqlite+aiosqlite://{rest}")
        return _postgres(f"postgresql+asyncpg://{rest}")

    @field_validator("legacy_timezone", "dashboard_timezone", "analytics_timezone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            return ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a time zone such as Europe/Rome") from None

    @field_validator("log_level", "log_format", "summary_language", "topics", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _bootstrap_key_is_long(self) -> Self:
        key = self.bootstrap_admin_key
        if key is not None and len(key.get_secret_value()) < MIN_BOOTSTRAP_KEY_CHARS:
            raise ValueError(f"BOOTSTRAP_ADMIN_KEY needs at least {MIN_BOOTSTRAP_KEY_CHARS} characters")
        return self

    @property
    def window(self) -> timedelta:
        """The time without an inbound message after which a conversation is over."""
        return timedelta(hours=self.conversation_timeout_hours)

    @property
    def idle_summary_after(self) -> timedelta:
        """How long a conversation has to be quiet before the model reads it."""
        return timedelta(minutes=self.idle_summary_after_minutes)

    @property
    def model_for_summaries(self) -> str | None:
        """The model that writes summaries; None when a digest has to do."""
        return (self.summary_model or self.openai_model) if self.summarize_old_conversations else None

    def model_for_summary_of(self, tokens: int) -> str | None:
        """The same for a user of so much history: the stronger one, where one is set, for who has much."""
        is_much = self.summarize_old_conversations and tokens >= self.summary_strong_from_tokens
        return (self.summary_model_strong if is_much else None) or self.model_for_summaries

    @property
    def legacy_zone(self) -> ZoneInfo:
        """The zone that the existing bot's naive times were written in."""
        return ZoneInfo(self.legacy_timezone)

    @property
    def database_address(self) -> str:
        """The database's address and nothing else of its URL: user, password and arguments stay where they are."""
        url = _parsed(self.database_url)
        return sa.URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is one file on this machine."""
        return self.database_url.startswith("sqlite")

    @property
    def sqlite_file(self) -> Path | None:
        """The file of a SQLite database; what belongs to an installation lies beside it."""
        return Path(_parsed(self.database_url).database or "") if self.is_sqlite else None

    @property
    def emulator_file(self) -> Path:
        """Where the emulator keeps its state, so that it knows the database's conversations after a restart."""
        file = self.sqlite_file or Path("convo.db")
        return file.with_name(f"{file.name}.emulator")

    @property
    def reset_words(self) -> frozenset[str]:
        """The commands that open a new conversation, in lower case."""
        return frozenset(_listed(self.reset_commands.casefold()))

    @property
    def reset_words_in_order(self) -> tuple[str, ...]:
        """The same as they were listed, each once."""
        return tuple(dict.fromkeys(_listed(self.reset_commands.casefold())))

    @property
    def rollout_identities(self) -> tuple[str, ...]:
        """Identities that are always inside the rollout, as they were written."""
        return _listed(self.rollout_users)


def problems(error: ValidationError) -> list[str]:
    """What is wrong with the settings, one line each, by the names of the environment."""
    named = (("_".join(str(part) for part in one["loc"]).upper(), one["msg"]) for one in error.errors())
    return [f"{name or 'settings'}: {message.removeprefix('Value error, ')}" for name, message in named]


class Described(NamedTuple):
    """A setting as an operator may see it; secrets and telephone numbers are masked."""

    name: str
    value: str
    source: Literal["environment", ".env", "default"]


def described(settings: Settings) -> list[Described]:
    """Every setting by the name of the environment, in the order of this file."""
    environment, file = EnvSettingsSource(Settings)(), DotEnvSettingsSource(Settings, env_ignore_empty=True)()
    return [
        Described(name.upper(), _masked(settings, name), _source(name, settings, environment, file))
        for name in Settings.model_fields
    ]


def _source(
    name: str, settings: Settings, environment: dict[str, Any], file: dict[str, Any]
) -> Literal["environment", ".env", "default"]:
    if name not in settings.model_fields_set:
        return "default"
    return "environment" if name in environment else ".env" if name in file else "default"


def _masked(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if value is None or value == "":
        return "-"
    if isinstance(value, SecretStr):
        return "********"
    if name == "rollout_users":
        return f"******** ({len(settings.rollout_identities)})"
    if name == "database_url":
        return settings.database_address
    if name in ("openai_base_url", "otel_exporter_otlp_endpoint"):
        return _without_secrets(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _without_secrets(url: str) -> str:
    """The address: no user, no password, no arguments, any of which may be a key."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _parsed(url: str) -> sa.URL:
    """A URL's parts; the library's own error would repeat them, and one may be the password."""
    try:
        return sa.make_url(url)
    except (ValueError, sa.exc.ArgumentError):
        raise ValueError("cannot be read: a port is a number; @ : / in a password are %40 %3A %2F") from None


def _sqlite(url: str) -> str:
    parsed = _parsed(url)
    if parsed.host:
        raise ValueError("must name a file after three slashes, four for a path from the root")
    if parsed.database in (None, "", ":memory:"):
        raise ValueError("must name a file: a database in memory would lose the history")
    if "?" in url:
        raise ValueError("must name a file alone, without arguments")
    return url


def _postgres(url: str) -> str:
    parsed = _parsed(url)
    if parsed.port is not None and not 1 <= parsed.port <= 65535:
        raise ValueError("has a port that is none")
    if sslmode := parsed.query.get("sslmode"):  # libpq's name for what the driver calls ssl
        parsed = parsed.difference_update_query(["sslmode"]).update_query_pairs([("ssl", str(sslmode))])
        url = parsed.render_as_string(hide_password=False)
    if (pgbouncer := parsed.query.get("pgbouncer", "true")) not in ("true", "false"):
        raise ValueError("may say pgbouncer=true or pgbouncer=false")
    if pgbouncer == "false":
        url = parsed.difference_update_query(["pgbouncer"]).render_as_string(hide_password=False)
    if not parsed.query.keys() <= POSTGRES_ARGUMENTS:
        raise ValueError(f"may have these arguments: {', '.join(sorted(POSTGRES_ARGUMENTS))}, sslmode")
    return url


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
