"""The demo: what it prints, what it leaves in the database, and what it refuses."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI

from convo_service import demo
from convo_service.demo.script import PAUSES, Side, customer, events
from convo_service.demo.story import CAST
from convo_service.demo.table import counted
from convo_service.llm.emulator import Emulator
from tests.gateway import Gateway

REASONS = {"first_contact", "idle_timeout", "message_cap", "user_reset", "operator"}
WIDTH = 110


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo is played."""
    return tmp_path_factory.mktemp("demo") / "demo.db"


@pytest.fixture(scope="module")
def printed(file: Path) -> list[str]:
    """What the demo printed, in an environment that wants something else than the defaults."""
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MAX_CONVERSATION_MESSAGES", "5")
        environment.setenv("ROLLOUT_PERCENT", "0")
        demo.run(f"sqlite+aiosqlite:///{file}", lines.append)
    return lines


@pytest.fixture
def database_url(file: Path, printed: list[str]) -> str:
    """The database that the demo left behind: the app of these tests opens it."""
    return f"sqlite+aiosqlite:///{file}"


def rows(printed: list[str]) -> list[str]:
    """The lines of the table between its rules, and the total."""
    rules = [place for place, line in enumerate(printed) if line and not line.strip("-")]
    assert len(rules) == 2
    return [*printed[rules[0] + 1 : rules[1]], printed[rules[1] + 1]]


def test_the_table_has_a_line_for_each_user(printed: list[str]) -> None:
    """A line for each user and a total, no wider than a terminal."""
    *users, total = rows(printed)
    assert len(users) == len(CAST)
    assert users[0].startswith("Luca Conti ")
    assert any(line.startswith("+39333") for line in users)
    assert total.startswith("total ")
    assert max(map(len, rows(printed))) <= WIDTH


def test_windows_read_less_than_one_endless_conversation(printed: list[str]) -> None:
    """Over all users the model reads fewer tokens in windows than in conversations without an end."""
    used, endless, saving = rows(printed)[-1].split()[-3:]
    assert int(used.replace(",", "")) < int(endless.replace(",", ""))
    assert int(saving.removesuffix("%")) > 0


def test_the_database_and_the_command_are_named(printed: list[str], file: Path) -> None:
    """Whoever has read the table knows how to look at the history."""
    assert printed[-1].strip() == f"DATABASE_URL=sqlite+aiosqlite:///{file} convo-service serve --emulator"


async def test_the_service_opens_what_the_demo_left(gateway: Gateway, printed: list[str]) -> None:
    """Every reason stands in the stored history, under the defaults, and the table counts what is stored."""
    stored = await gateway.listed("/conversations", limit=100)
    assert {one["created_reason"] for one in stored} == REASONS
    assert {one["cohort"] for one in stored} == {"window"}
    assert rows(printed)[-1].split()[1] == str(len(stored))


async def test_the_cap_falls_in_the_middle_of_talk(gateway: Gateway) -> None:
    """A conversation that is full goes on within minutes in the next one."""
    for one in await gateway.listed("/conversations", created_reason="message_cap"):
        full = await gateway.get(f"/conversations/{one['parent_conversation_id']}")
        assert full["message_count"] == 50
        *_, last = await gateway.listed(f"/conversations/{full['id']}/messages", limit=100)
        pause = datetime.fromisoformat(one["created_at"]) - datetime.fromisoformat(last["sent_at"])
        assert pause < timedelta(minutes=5)


async def test_two_weeks_later_the_seed_still_knows(gateway: Gateway) -> None:
    """The quotation that is confirmed after a `/new` and two weeks stands in the seed of that conversation."""
    anna = (await gateway.listed("/users", q="pasticceria moretti"))[0]
    found = await gateway.listed("/conversations", user_id=anna["id"], order="asc")
    assert [one["created_reason"] for one in found[:3]] == ["first_contact", "user_reset", "idle_timeout"]
    assert "P-302" in found[2]["seed"]["text"]


async def test_deliveries_that_go_wrong(gateway: Gateway) -> None:
    """The webhook that comes twice is stored once; the message that comes late stands where it was written."""
    marco = (await gateway.listed("/users", q="marco"))[0]
    thread = await gateway.listed(f"/users/{marco['id']}/messages", limit=100)
    assert [one["text"] for one in thread].count("ritiro io sabato mattina") == 1
    sisters = (await gateway.listed("/users", q="sorelle"))[0]
    thread = await gateway.listed(f"/users/{sisters['id']}/messages", limit=100)
    late = [place for place, one in enumerate(thread) if one["late"]]
    assert len(late) == 1
    assert thread[late[0] + 1]["text"].startswith("per domani: suonate al 14")


async def test_the_emulator_beside_it_knows_the_conversations(gateway: Gateway, file: Path) -> None:
    """`serve --emulator` goes on with the story's conversations instead of losing them."""
    stored = {one["id"] for one in await gateway.listed("/conversations", limit=100)}
    with closing(Emulator(file.with_name("demo.db.emulator"))) as emulator:
        assert stored <= set(emulator.conversations())


async def test_the_key_of_the_demo_is_gone(app: FastAPI, printed: list[str]) -> None:
    """The demo leaves no key behind that opens anything."""
    keys = [key for key in await app.state.services.keys.all() if key.name == "demo"]
    assert [key.revoked_at is not None for key in keys] == [True]


def test_a_second_run_is_refused(file: Path, printed: list[str]) -> None:
    """The demo never mixes with a history that is there already, and prints no table of it."""
    lines: list[str] = []
    with pytest.raises(demo.DatabaseInUse, match=r"demo\.db already holds users"):
        demo.run(f"sqlite+aiosqlite:///{file}", lines.append)
    assert lines == []


def script_of(lines: str) -> Iterator[tuple[Side, str, timedelta, timedelta]]:
    """What happens in a scene: who, what, how long after its beginning, how late."""
    played = events([customer("x", f"@ 0 00:00\n{lines}")])
    start = played[0].at - timedelta(seconds=PAUSES[Side.CUSTOMER])
    return ((one.side, one.text, one.at - start, one.at - one.sent_at) for one in played)


def test_a_script_is_read_line_by_line() -> None:
    """Pauses, long messages, repeats, late messages and operators have a line of their own."""
    lines = "> ciao\n> +300s prezzi\n  e orari?\n=\n~ -60s allora?\n! basta"
    second = timedelta(seconds=1)
    assert list(script_of(lines)) == [
        (Side.CUSTOMER, "ciao", 70 * second, 0 * second),
        (Side.CUSTOMER, "prezzi e orari?", 370 * second, 0 * second),
        (Side.AGAIN, "", 379 * second, 0 * second),
        (Side.LATE, "allora?", 424 * second, 60 * second),
        (Side.OPERATOR, "basta", 1324 * second, 0 * second),
    ]


@pytest.mark.parametrize("script", ["@ 0 7:00\n> ciao", "@ 0 07:00\nciao", "@ 0 07:00\n? ciao"])
def test_a_script_with_a_slip_is_refused(script: str) -> None:
    """A line that nobody can read is an error, not a message that is missing."""
    with pytest.raises(ValueError, match=r"no (scene|line)"):
        customer("x", script)


def test_reasons_are_counted_in_their_order() -> None:
    """A reason that comes once stands alone; one that comes again says how often."""
    found = counted(["first_contact", "idle_timeout", "user_reset", "idle_timeout"])
    assert found == "first_contact idle_timeout\N{MULTIPLICATION SIGN}2 user_reset"
