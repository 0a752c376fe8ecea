"""The command `templates`: what is shipped is installed when somebody says so, and nobody's edits are lost."""

import sqlite3

import pytest

from convo_service.shipped import FIELDS, LANGUAGES, NAMES, shipped
from tests.cli.shell import Runner, installation


@pytest.fixture
def installed(run: Runner, database_url: str) -> Runner:
    """An installation on either database."""
    return installation(run, database_url)


def test_install(installed: Runner) -> None:
    """The templates come in the installation's language; a second time nothing changes."""
    assert installed("templates", "list").stdout == ""
    first = installed("templates", "install")
    assert first.returncode == 0, first.stderr
    assert [line.split() for line in first.stdout.splitlines()] == [
        ["support", "version", "1", "installed"],
        ["sales", "version", "1", "installed"],
    ]
    again = installed("templates", "install", "--language", "it", "--language", "en")
    assert [line.split(maxsplit=3) for line in again.stdout.splitlines()] == [
        ["support", "version", "1", "is there, and stays as it is"],
        ["sales", "version", "1", "is there, and stays as it is"],
        ["support-en", "version", "1", "installed"],
        ["sales-en", "version", "1", "installed"],
    ]
    listed = installed("templates", "list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["sales", "sales-en", "support", "support-en"]
    english = installed("templates", "install", "--language", "it", SUMMARY_LANGUAGE="en").stdout
    assert [line.split()[0] for line in english.splitlines()] == ["support-it", "sales-it"]


def test_edits_stay(run: Runner) -> None:
    """What an operator has changed stays; only who says so gets the shipped text, as the next version."""
    made = installation(run, f"sqlite:///{run.folder / 'convo.db'}")
    made("templates", "install")
    file = sqlite3.connect(run.folder / "convo.db")
    with file:
        file.execute("UPDATE template_versions SET instructions = 'Nostre' WHERE name = 'sales'")
    assert made("templates", "install").returncode == 0
    assert file.execute("SELECT instructions FROM template_versions WHERE name = 'sales'").fetchall() == [("Nostre",)]
    replaced = made("templates", "install", "--replace").stdout
    assert "sales        version 2    replaced" in replaced
    said = file.execute("SELECT instructions FROM template_versions WHERE name = 'sales' ORDER BY version").fetchall()
    assert said == [("Nostre",), (shipped("sales", "it")["instructions"],)]
    file.close()


def test_what_is_wrong(installed: Runner, run: Runner) -> None:
    """A language that is not shipped, and a database that was never migrated, are said in one line."""
    assert "--language has to be one of" in installed("templates", "install", "--language", "fr").stderr
    bare = run("templates", "install")
    assert (bare.returncode, "migrate" in bare.stderr) == (2, True)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_shipped(name: str, language: str) -> None:
    """Each is long enough for OpenAI's prompt cache, which begins at 1,024 tokens, and says nothing that changes."""
    template = shipped(name, language)
    assert len(template["instructions"]) / 4 > 1024
    assert template["language"] == language
    assert "{" not in template["instructions"]
    assert template.keys() - FIELDS[name].keys() == {"instructions", "language"}
