"""Settings: names, defaults, blanks, and what is refused."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from convo_service.settings import Settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the machine and no `.env` of the checkout reaches these tests."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults() -> None:
    """The defaults are those of the contract."""
    settings = Settings()
    assert (settings.conversation_timeout_hours, settings.max_conversation_messages) == (48, 50)
    assert settings.database_url == "sqlite+aiosqlite:///convo.db"
    assert settings.reset_words == {"/new", "/nuova", "/reset"}
    assert (settings.summary_tokens, settings.summary_language, settings.topics) == (300, "it", "off")
    assert settings.conversation_reserve == 10
    assert (settings.rate_limit_per_minute, settings.user_turns_per_minute, settings.user_resets_per_hour) == (
        6000, 60, 10,
    )  # fmt: skip


def test_process_environment_beats_dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`.env` is read; the process environment beats it; unknown names in it belong to somebody else."""
    (tmp_path / ".env").write_text("CONVERSATION_TIMEOUT_HOURS=24\nSUMMARY_TOKENS=100\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("CONVERSATION_TIMEOUT_HOURS", "72")
    settings = Settings()
    assert (settings.conversation_timeout_hours, settings.summary_tokens) == (72, 100)


@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_blank_means_unset(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    """A blank value is no value."""
    for name in ("CONVERSATION_TIMEOUT_HOURS", "OPENAI_API_KEY", "OPENAI_BASE_URL", "INCLUDE_SUMMARY"):
        monkeypatch.setenv(name, blank)
    settings = Settings()
    assert (settings.conversation_timeout_hours, settings.include_summary) == (48, True)
    assert (settings.openai_api_key, settings.openai_base_url) == (None, None)


def test_blanks_around_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks around a value are stripped."""
    monkeypatch.setenv("CONVERSATION_TIMEOUT_HOURS", " 72 ")
    monkeypatch.setenv("SUMMARY_LANGUAGE", " EN ")
    settings = Settings()
    assert (settings.conversation_timeout_hours, settings.summary_language) == (72, "en")


@pytest.mark.parametrize("name", ["INCLUDE_SUMMARY", "INCLUDE_SUMMARY_IN_NEW_CONVERSATIONS"])
def test_alias(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The guide's longer name means the same."""
    monkeypatch.setenv(name, "false")
    assert Settings().include_summary is False


@pytest.mark.parametrize(
    ("given", "used"),
    [
        pytest.param("sqlite:///a.db", "sqlite+aiosqlite:///a.db", id="plain SQLite"),
        pytest.param("postgres://u:p@h/d", "postgresql+asyncpg://u:p@h/d", id="as panels give it"),
        pytest.param("postgresql://u:p@h/d", "postgresql+asyncpg://u:p@h/d", id="plain PostgreSQL"),
        pytest.param("postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg://u:p@h/d", id="whole"),
        pytest.param(
            "postgres://u:p%40@h/d?sslmode=require", "postgresql+asyncpg://u:p%40@h/d?ssl=require", id="libpq's sslmode"
        ),
        pytest.param("postgres://h/d?pgbouncer=true", "postgresql+asyncpg://h/d?pgbouncer=true", id="by PgBouncer"),
        pytest.param("postgres://h/d?pgbouncer=false", "postgresql+asyncpg://h/d", id="not by PgBouncer"),
    ],
)
def test_database_urls(monkeypatch: pytest.MonkeyPatch, given: str, used: str) -> None:
    """Plain URLs get the asyncio driver."""
    monkeypatch.setenv("DATABASE_URL", given)
    assert Settings().database_url == used


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONVERSATION_TIMEOUT_HOURS", "0"),
        ("CONVERSATION_TIMEOUT_HOURS", "nan"),
        ("CONVERSATION_TIMEOUT_HOURS", "due giorni"),
        ("MAX_CONVERSATION_MESSAGES", "0"),
        ("DATABASE_URL", "mysql://h/d"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite://h/a.db"),
        ("DATABASE_URL", "sqlite:///file:a.db?uri=true"),
        ("DATABASE_URL", "postgresql://u:short@h:port/d"),
        ("DATABASE_URL", "postgresql://u:short@h:99999/d"),
        ("DATABASE_URL", "postgresql://u@h/d?wrong=short"),
        ("DATABASE_URL", "postgresql://u@h/d?pgbouncer=short"),
        ("BOOTSTRAP_ADMIN_KEY", "short"),
        ("RATE_LIMIT_PER_MINUTE", "0"),
        ("USER_TURNS_PER_MINUTE", "-1"),
        ("USER_RESETS_PER_HOUR", "many"),
        ("SUMMARY_LANGUAGE", "de"),
        ("TOPICS", "sometimes"),
        ("ROLLOUT_PERCENT", "101"),
    ],
)
def test_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A value that makes no sense stops the start, and a secret is not repeated in the error."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "short" not in str(caught.value)


def test_the_file_of_a_url() -> None:
    """The file is the one that the driver opens: a URL's escapes are read."""
    assert Settings(database_url="sqlite:////srv/due%20parole.db").sqlite_file == Path("/srv/due parole.db")
