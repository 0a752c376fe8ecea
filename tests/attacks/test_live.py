"""The documented command against a real model: rehearsed with the emulator in its place."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from convo_service.llm.emulator import Emulator
from tests.attacks.models import Captured
from tests.serving import served

ROOT = Path(__file__).resolve().parents[2]


async def live(migrated: Path, **environment: str) -> tuple[int | None, str, str]:
    """How it ends, and what it says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.attacks", "--live", "--every", "300", "--migrated", str(migrated)),
        cwd=ROOT,
        env={**kept, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param({}, "set OPENAI_API_KEY and OPENAI_MODEL", id="nothing is set"),
        pytest.param({"OPENAI_API_KEY": "sk-x"}, "set OPENAI_MODEL", id="no model"),
        pytest.param(
            {"OPENAI_API_KEY": "sk-x", "OPENAI_MODEL": "x", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"},
            "http://127.0.0.1:1/v1/responses does not answer: ConnectError",
            id="nobody there",
        ),
    ],
)
async def test_what_is_missing(migrated: Path, environment: dict[str, str], said: str) -> None:
    """It says what is missing in one line, before anything is attacked, and never the key."""
    code, output, errors = await live(migrated, **environment)
    assert (code, output) == (2, "")
    assert errors.strip() == f"--live cannot ask a model: {said}"


async def test_a_rehearsal(migrated: Path) -> None:
    """With a model at the other end, here one that repeats every attack, each string goes the whole way."""
    model = Captured()
    emulator = Emulator(model=lambda request: model(request) if isinstance(request["input"], list) else "Ciao")
    async with served(emulator) as url:
        code, output, errors = await live(
            migrated, OPENAI_API_KEY="sk-emulator", OPENAI_MODEL="attacked", OPENAI_BASE_URL=f"{url}/v1"
        )
    assert code == 0, output + errors
    assert "violations: 0" in output
    assert "not asked" not in output
    assert emulator.calls["responses.create"] > 1
