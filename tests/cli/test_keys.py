"""The commands around keys."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from convo_service.services.keys import Scope
from tests.cli.shell import Runner, installation
from tests.scopes import ALLOWED, OPEN

MADE = ("keys", "create", "--name", "bot", "--scope", "gateway")
MINUTE = "%Y-%m-%d %H:%M"


@pytest.fixture
def installed(run: Runner, database_url: str) -> Runner:
    """An installation on either database."""
    return installation(run, database_url)


def test_the_table_of_scopes(run: Runner) -> None:
    """`keys scopes` shows what the tests have really called, to whoever asks."""
    shown = run("keys", "scopes")
    header, *lines = shown.stdout.splitlines()
    assert header.split() == [*Scope, "route"]
    rows = {}
    for line in lines:
        *marks, method, path = re.split(r"\s{2,}|(?<=[A-Z]) +(?=/)", line)
        rows[method, path] = {scope for scope, mark in zip(Scope, marks, strict=True) if mark == "yes"}
    assert rows == {route: allowed | {"admin"} for route, allowed in ALLOWED.items()} | {route: set() for route in OPEN}


def test_expiry(installed: Runner) -> None:
    """A key has an end in days or at a time; the list shows it, and never a key."""
    days = installed(*MADE, "--expires-in-days", "90")
    at = installed(*MADE, "--expires-at", "2099-01-01T01:00+01:00")
    keys = [one.stdout.splitlines()[-1] for one in (days, at)]
    listed = installed("keys", "list").stdout
    assert f"expires {datetime.now(UTC) + timedelta(days=90):%Y-%m-%d}" in listed
    assert "expires 2099-01-01 00:00" in listed
    assert listed.count("never used") == 2
    assert [key in listed for key in keys] == [False, False]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(("--expires-in-days", "0"), "expires-in", id="no days"),
        pytest.param(("--expires-at", "2020-01-01T00:00Z"), "future", id="over"),
        pytest.param(("--expires-at", "2099-01-01T00:00"), "zone", id="no zone"),
        pytest.param(("--expires-at", "soon"), "2026-03-02T09:00Z", id="no time"),
        pytest.param(("--expires-in-days", "1", "--expires-at", "2099-01-01T00:00Z"), "not both", id="both"),
    ],
)
def test_ends_that_are_none(run: Runner, options: tuple[str, ...], says: str) -> None:
    """What is no end is said, and nothing is made."""
    done = run(*MADE, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_rotation(installed: Runner) -> None:
    """The second key has the name and scope of the first, which ends after the grace; a third time works, too."""
    installed(*MADE)
    listed = installed("keys", "list").stdout
    first = listed.split()[0]
    done = installed("keys", "rotate", first, "--grace-hours", "2")
    assert re.fullmatch(r"csk_[0-9a-z]{47}", done.stdout.splitlines()[-1]), done.stderr
    old, new = installed("keys", "list").stdout.splitlines()
    ends = datetime.strptime(old.partition("expires ")[2][:16], MINUTE).replace(tzinfo=UTC)
    assert abs(ends - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=2)
    assert ("active" in new, new.split()[2], new.split()[-1]) == (True, "gateway", "bot")
    assert installed("keys", "rotate", first, "--grace-hours", "0").returncode == 0
    assert "expired" in installed("keys", "list").stdout
    refused = installed("keys", "rotate", first)
    assert (refused.returncode, "csk_" in refused.stdout) == (1, False)
    assert installed("keys", "rotate", "a\udcffb").returncode == 1
