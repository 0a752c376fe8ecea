"""`simulate`: what it prints about a stored history, on both databases, and what it refuses."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from convo_service import demo
from tests.cli.shell import Runner
from tests.history import store


@pytest.fixture
def here(run: Runner, database_url: str) -> Runner:
    """A migrated installation without a history."""
    return Runner(run.folder, {**run.environment, "DATABASE_URL": database_url})


@pytest.fixture
def history(here: Runner, database_url: str) -> Runner:
    """One with 4 users of 30 turns each."""
    asyncio.run(store(database_url, users=4, turns=30))
    return here


def document(run: Runner, *options: str, **more: str) -> dict[str, Any]:
    """What `simulate --json` prints."""
    done = run("simulate", "--json", *options, **more)
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


def test_a_history(history: Runner) -> None:
    """Each combination in its order, the endless conversation beside them, money by the model's price."""
    found = document(history, "--timeout-hours", "6,24,72", "--cap", "10,50", "--model", "gpt-4o-mini")
    rows = found["combinations"]
    assert [(row["timeout_hours"], row["cap"], row["seed_tokens"]) for row in rows] == [
        (6, 10, 300), (6, 50, 300), (24, 10, 300), (24, 50, 300), (72, 10, 300), (72, 50, 300)
    ]  # fmt: skip
    assert (found["users"], found["messages"], found["first_at"]) == (4, 240, "2026-03-02T09:00:00Z")
    assert {row["replies"] for row in [*rows, found["endless"]]} == {120}
    assert [row["conversations"] for row in rows] == [120, 120, 60, 60, 24, 8]
    assert [row["cuts_within_a_day"] for row in rows] == [60, 60, 0, 0, 12, 4]
    assert found["endless"]["conversations"] == 4
    used, endless = rows[3]["input_tokens"], found["endless"]["input_tokens"]
    assert rows[3]["saving_percent"] == pytest.approx(100 * (1 - used / endless), abs=0.01)
    assert rows[3]["cost_usd_without_caching"] == pytest.approx(used * 0.15e-6)


def test_options_change_what_is_counted(history: Runner) -> None:
    """Instructions are in every prompt, a seed costs, a sample is smaller, a time has its own replies."""
    (plain,) = document(history, "--timeout-hours", "24")["combinations"]
    (instructed,) = document(history, "--timeout-hours", "24", "--instructions-tokens", "100")["combinations"]
    assert instructed["input_tokens"] == plain["input_tokens"] + 120 * 100
    (bare,) = document(history, "--timeout-hours", "24", "--seed-tokens", "0")["combinations"]
    assert bare["input_tokens"] < plain["input_tokens"]
    assert document(history, "--timeout-hours", "24", INCLUDE_SUMMARY="false")["combinations"] == [bare]
    assert document(history, "--users", "2")["users"] == 2
    day = document(history, "--since", "2026-03-04T00:00Z", "--until", "2026-03-06T00:00Z")
    assert (day["messages"], day["endless"]["replies"], day["endless"]["conversations"]) == (16, 8, 0)


def test_the_table(history: Runner) -> None:
    """A line for each combination, the endless conversation under them, what they mean; no bar where no terminal is."""
    done = history("simulate", "--timeout-hours", "24,48", "--model", "gpt-4o-mini")
    assert (done.returncode, done.stderr) == (0, "")
    head, rule, *rows, below, endless, blank, counts = done.stdout.splitlines()[:8]
    assert head.split()[:3] == ["window,", "cap,", "seed"]
    assert (set(rule), set(below), blank) == ({"-"}, {"-"}, "")
    assert [row.split("  ")[0] for row in rows] == ["24 h, 50, 300", "48 h, 50, 300"]
    assert endless.startswith("one endless conversation")
    assert "$" in endless
    assert counts == "4 users, 240 messages, 2026-03-02T09:00:00Z to 2026-04-01T01:03:00Z."
    assert "All seeds were really made" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--model", "no-such-model"], "No price is known for no-such-model: tokens only.", id="unknown"),
        pytest.param([], "Give --model or set OPENAI_MODEL for money.", id="none"),
    ],
)
def test_a_model_without_a_price(history: Runner, options: list[str], said: str) -> None:
    """Tokens only, and it is said."""
    done = history("simulate", *options)
    assert done.returncode == 0
    assert said in done.stdout
    assert "$" not in done.stdout


def test_nothing_to_replay(here: Runner, database_url: str) -> None:
    """A sentence and no error; as JSON the same document as ever."""
    done = here("simulate")
    assert (done.returncode, done.stdout) == (0, "No message is stored: there is nothing to replay.\n")
    assert document(here)["endless"]["replies"] == 0
    asyncio.run(store(database_url, users=1, turns=1))
    assert "No message was said in that time" in here("simulate", "--since", "2027-01-01T00:00Z").stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(
            ["--timeout-hours", "24,two"], "--timeout-hours has to be numbers from 0.01 to 8,760", id="no number"
        ),
        pytest.param(["--timeout-hours", "0"], "--timeout-hours has to be", id="no window"),
        pytest.param(["--timeout-hours", "nan"], "--timeout-hours has to be", id="not a number"),
        pytest.param(["--cap", "0"], "--cap has to be numbers from 1", id="no cap"),
        pytest.param(["--cap", ",".join(map(str, range(1, 30)))], "116 combinations are too many", id="too many"),
        pytest.param(["--since", "yesterday"], "--since has to be a date and time", id="no time"),
        pytest.param(["--until", "2026-03-02T09:00"], "--until needs a zone", id="no zone"),
        pytest.param(
            ["--since", "2026-03-02T09:00Z", "--until", "2026-03-02T10:00+01:00"],
            "--since has to be before",
            id="empty",
        ),
        pytest.param(["--users", "0"], "--users", id="no user"),
    ],
)
def test_bad_input(run: Runner, options: list[str], said: str) -> None:
    """It is refused with a sentence, before the database is looked at."""
    refused = run("simulate", *options)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_database_that_is_none(run: Runner) -> None:
    """It says what to do, and makes no file."""
    refused = run("simulate")
    assert refused.returncode == 2
    assert "Run: convo-service migrate" in refused.stderr
    assert not (run.folder / "data").exists()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """The demo's database, and what it measured in all: conversations, tokens in windows, tokens without an end."""
    file, printed = tmp_path_factory.mktemp("demo") / "demo.db", list[str]()
    demo.run(f"sqlite+aiosqlite:///{file}", printed.append)
    total = next(one for one in printed if one.startswith("total ")).replace(",", "").split()
    return file, {"conversations": int(total[1]), "used": int(total[3]), "endless": int(total[4])}


def test_it_agrees_with_what_really_ran(run: Runner, played: tuple[Path, dict[str, int]]) -> None:
    """The demo's own conversations and tokens, within two percent; an operator's reset is no message, so it is missing.

    Nothing is written: the file is the same byte for byte.
    """
    file, real = played
    before = hashlib.sha256(file.read_bytes()).digest()
    found = document(run, "--timeout-hours", "48", DATABASE_URL=f"sqlite:///{file}")
    (row,) = found["combinations"]
    assert row["conversations"] == real["conversations"] - 1
    assert row["input_tokens"] == pytest.approx(real["used"], rel=0.02)
    assert found["endless"]["input_tokens"] == pytest.approx(real["endless"], rel=0.02)
    assert hashlib.sha256(file.read_bytes()).digest() == before


def test_the_cache_is_cheaper(run: Runner, played: tuple[Path, dict[str, int]]) -> None:
    """Whoever writes again within the hour pays half for a long prompt (at this model's price)."""
    url = f"sqlite:///{played[0]}"
    one = document(run, "--model", "gpt-4o-mini", "--instructions-tokens", "1000", DATABASE_URL=url)["endless"]
    assert 0 < one["cached_input_tokens"] < one["input_tokens"]
    paid = one["input_tokens"] - one["cached_input_tokens"] / 2
    assert one["cost_usd"] == pytest.approx(paid * 0.15e-6)
