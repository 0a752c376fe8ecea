"""`user export`, `user erase` and `user merge`, and an erasure that is killed in its middle."""

import asyncio
import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from convo_service import crashing
from convo_service.app import create_app
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services.arrivals import Call
from convo_service.services.messages import NewMessage
from convo_service.settings import Settings
from tests.bot import content, small
from tests.cli.shell import Runner, installation
from tests.databases import on

MARIA, LUCA = "+393331234567", "+393339999999"
SECRET = "zucchero quarzovix"


@pytest.fixture
def served(run: Runner, empty_url: str) -> Runner:
    """An installation in which Maria and Luca said something."""
    made = installation(run, empty_url)
    settings = Settings(_env_file=None, database_url=empty_url, key_pepper="pepper")

    async def talk() -> None:
        app = create_app(settings, llm=LLMClient.against(Emulator()))
        async with app.router.lifespan_context(app):
            for who, text in ((MARIA, SECRET), (LUCA, "farina")):
                message = NewMessage("inbound", text, f"wamid.{who}")
                await app.state.services.conversations.get_or_create(Call(who, message=message))

    asyncio.run(talk())
    made.environment["KEY_PEPPER"] = "pepper"
    return made


def counts(url: str) -> dict[str, int]:
    """How many users, messages and conversations there are, and what is left to be deleted at OpenAI."""
    tables = ("users", "identities", "messages", "conversations", "remote_garbage")
    query = {name: sa.select(sa.func.count()).select_from(sa.table(name)) for name in tables}
    return on(url, lambda connection: {name: connection.scalar(one) or 0 for name, one in query.items()})


def test_export(served: Runner, tmp_path: Path) -> None:
    """One JSON document, on the terminal or in a file of its owner's, which is never written over."""
    done = served("user", "export", "+39 333 123 4567")
    document = json.loads(done.stdout)
    assert [row["text"] for row in document["messages"]] == [SECRET]
    file = tmp_path / "maria.json"
    assert served("user", "export", document["user"]["id"], "--to", str(file)).returncode == 0
    assert {**json.loads(file.read_text()), "exported_at": ""} == {**document, "exported_at": ""}
    assert file.stat().st_mode & 0o777 == 0o600
    again = served("user", "export", MARIA, "--to", str(file))
    assert (again.returncode, again.stderr.strip()) == (1, f"{file} cannot be made: File exists")
    nobody = served("user", "export", "+390000000")
    assert (nobody.returncode, nobody.stderr.strip()) == (1, "No user has this id or identity")


def test_erase(served: Runner, empty_url: str) -> None:
    """The rows are gone when the command ends, and its last line is the receipt's id."""
    assert served("user", "erase", MARIA).returncode == 1  # nobody said yes
    assert counts(empty_url)["users"] == 2
    done = served("user", "erase", MARIA, "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("erasure_")
    assert "to be deleted at OpenAI by the worker: 1" in done.stderr
    assert MARIA not in done.stdout + done.stderr
    assert counts(empty_url) == {
        "users": 1, "identities": 1, "messages": 1, "conversations": 1, "remote_garbage": 1
    }  # fmt: skip


def test_merge(served: Runner, empty_url: str) -> None:
    """Both names are one user's, whose id is printed."""
    done = served("user", "merge", MARIA, "--into", LUCA)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usr_")
    document = json.loads(served("user", "export", MARIA).stdout)
    assert document["user"]["id"] == done.stdout.strip()
    assert sorted(row["text"] for row in document["messages"]) == ["farina", SECRET]
    assert [row["merged_by"] for row in document["merges"]] == ["command line"]
    assert counts(empty_url)["users"] == 1
    assert served("user", "merge", MARIA, "--into", LUCA).returncode == 1


def test_an_import_after_an_erasure(run: Runner, empty_url: str, tmp_path: Path) -> None:
    """The bot's file does not bring back who was erased, however her number is written there."""
    bot = small(tmp_path / "bot.db")
    made = installation(run, empty_url)
    made.environment["KEY_PEPPER"] = "pepper"
    made("import-legacy", str(bot.path))
    before = content(empty_url)[1]
    anna = json.loads(made("user", "export", "+393331111111").stdout)
    assert made("user", "erase", "+393331111111", "--yes").returncode == 0
    again = made("import-legacy", str(bot.path))
    assert "1  people who were erased here" in again.stdout
    assert "taken" not in again.stdout
    assert len(content(empty_url)[1]) == len(before) - len(anna["messages"]) < len(before)


@pytest.mark.parametrize("point", [crashing.ERASURE_BEGUN, crashing.ERASING, crashing.SCRUBBED])
def test_an_erasure_that_is_killed(served: Runner, empty_url: str, point: str) -> None:
    """Killed at any point, it is carried on by the next sweep, and nothing is counted twice."""
    killed = served("user", "erase", MARIA, "--yes", **{crashing.VARIABLE: point})
    assert killed.returncode == -9
    assert counts(empty_url)["identities"] == 1
    nobody = served("user", "export", MARIA)
    assert nobody.returncode == 1
    swept = served("sweep")
    assert swept.returncode == 0, swept.stderr
    assert counts(empty_url) == {
        "users": 1, "identities": 1, "messages": 1, "conversations": 1, "remote_garbage": 1
    }  # fmt: skip
    row = on(empty_url, lambda one: one.execute(sa.text("SELECT rows, user_id, scrubbed FROM erasures")).one())
    rows = json.loads(row[0]) if isinstance(row[0], str) else row[0]
    assert rows == {"messages": 1, "conversations": 1, "identities": 1, "users": 1}
    assert (row[1], bool(row[2])) == (None, True)
    if empty_url.startswith("sqlite"):
        file = Path(empty_url.partition("///")[2])
        parts = [one.read_bytes() for one in (file, file.with_name(f"{file.name}-wal")) if one.exists()]
        assert b"quarzovix" not in b"".join(parts)
