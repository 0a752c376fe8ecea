"""Two suites that ask for more than one fault at a time have a row here, with many more examples than in a test run."""

import asyncio
import os
import re
import sys
from pathlib import Path

from tests.chaos.scenario import SQLITE, Outcome, Scenario

ROOT = Path(__file__).resolve().parents[2]
_ENDED = re.compile(r"(\d+ (?:passed|failed|error).*?) in ")


def sequences(times: int) -> Scenario:
    """Late, repeated and shuffled messages against the model of the contract."""
    fault = f"late, repeated, shuffled messages, {times} sequences"
    return _suite(
        fault, "no difference from the model", "tests/test_window_machine.py", {"WINDOW_SEQUENCES": str(times)}
    )


def examples(times: int) -> Scenario:
    """Anything that the OpenAPI document allows, and what it does not."""
    fault = f"schemathesis, {times} examples of each operation"
    return _suite(fault, "no failure", "tests/test_openapi.py", {"OPENAPI_EXAMPLES": str(times)})


def _suite(fault: str, promise: str, file: str, more: dict[str, str]) -> Scenario:
    async def run(_url: str, folder: Path) -> Outcome:
        options = ["-q", "-p", "no:cacheprovider", "--basetemp", str(folder / "pytest"), file]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest", *options),
            cwd=ROOT,
            env={**os.environ, **more},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await process.communicate())[0].decode(errors="replace")
        ended = _ENDED.search(output)
        wrong = [] if process.returncode == 0 else [f"{file} ended with {process.returncode}:\n{output[-3000:]}"]
        return Outcome(f"{ended.group(1) if ended else 'no result'} of {file}", wrong)

    return Scenario(fault, promise, run, (SQLITE,))
