"""Replicas of two versions on one database: what a migration adds disturbs nobody, what it takes away is announced."""

import ast
import asyncio
import re
import shutil
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory

from convo_service.db import migrations
from convo_service.settings import Settings
from tests.gateway import Gateway, assert_problem

HERE = migrations.HEAD.partition("from")[0]  # ours, without what it promises itself

SCRIPT = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = {revision!r}, {down!r}, None, None
def upgrade():
    {upgrade}
"""
# A table gets a column, as a newer version would do it; then loses one.
EXPAND = 'op.add_column("messages", sa.Column("mood", sa.String(16)))'
CONTRACT = 'op.drop_column("messages", "mood")'
TAKES_AWAY = {"drop_column", "drop_table", "rename_table", "alter_column", "execute"}


def newer(folder: Path, *steps: tuple[str, str]) -> None:
    """The migrations as a newer version has them: ours, and what it adds."""
    shutil.copytree(migrations.scripts() / "versions", folder, dirs_exist_ok=True)
    down = migrations.HEAD
    for revision, upgrade in steps:
        text = SCRIPT.format(revision=revision, down=down, upgrade=upgrade)
        (folder / f"20990101_{revision}_newer.py").write_text(text)
        down = revision


async def upgrade(settings: Settings, folder: Path) -> None:
    """What the newer version's `migrate` does, while this one serves."""
    config = migrations.config(settings.database_url)
    config.set_main_option("version_locations", str(folder))
    await asyncio.to_thread(command.upgrade, config, "head")


async def test_expand_then_contract(gateway: Gateway, settings: Settings, tmp_path: Path) -> None:
    """A replica serves on, message after message, while a newer version expands the schema; it is told to go before
    anything is taken away that it needs.
    """
    folder = tmp_path / "versions"
    said = [await gateway.say("prima")]
    newer(folder, (expanded := f"9998from{HERE}", EXPAND))
    migrating = asyncio.create_task(upgrade(settings, folder))
    while not migrating.done():
        said.append(await gateway.say("durante"))
    await migrating
    said.append(await gateway.say("dopo"))
    assert len({one["conversation"]["id"] for one in said}) == 1
    await gateway.get("/readyz")
    newer(folder, (expanded, EXPAND), ("9999", CONTRACT))
    await upgrade(settings, folder)
    assert_problem(await gateway.http.get("/readyz"), 503, "migrations_pending")


@pytest.mark.parametrize(
    ("revision", "works"),
    [
        pytest.param(migrations.HEAD, True, id="its own"),
        pytest.param(f"9999from{HERE}", True, id="a later one that left everything in place"),
        pytest.param("9999from0001", True, id="a later one that even older code works with"),
        pytest.param("9999from9998", False, id="a later one that took something away"),
        pytest.param("9999", False, id="a later one that says nothing"),
        pytest.param("9999fromhere", False, id="a later one that says nonsense"),
        pytest.param("0011", False, id="an older one"),
        pytest.param(None, False, id="none"),
    ],
)
def test_serves(revision: str | None, works: bool) -> None:
    """Code works with its own revision, and with a later one that names it or older code."""
    assert migrations.serves(revision) is works


def scripts() -> list[tuple[str, str]]:
    """Ids and sources of our revisions, oldest first."""
    walked = list(ScriptDirectory(str(migrations.scripts())).walk_revisions())[::-1]
    return [(one.revision, Path(one.path).read_text()) for one in walked]


def careless(source: str) -> set[str]:
    """What an upgrade calls that may take something away from older code."""
    body = next(one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef) and one.name == "upgrade")
    calls = (ast.unparse(one.func) for one in ast.walk(body) if isinstance(one, ast.Call))
    return {name for call in calls if (name := call.rpartition(".")[2]) in TAKES_AWAY}


def test_ids_of_revisions() -> None:
    """Numbers go up, no revision promises to older code more than the one before, and none that promises takes away."""
    oldest = "0000"
    for number, (revision, source) in enumerate(scripts(), 1):
        assert re.fullmatch(rf"{number:04}(from\d{{4}})?", revision), revision
        named = revision.partition("from")[2]
        assert oldest <= (named or revision) <= revision, revision
        assert not (named and careless(source)), f"{revision}: {careless(source)}"
        oldest = named or revision


def test_the_guard_sees() -> None:
    """The check above can fail."""
    assert careless(SCRIPT.format(revision="x", down="y", upgrade=EXPAND)) == set()
    assert careless(SCRIPT.format(revision="x", down="y", upgrade=CONTRACT)) == {"drop_column"}
