"""Mistakes that somebody could make, in copies of the service: a harness that does not see them is worthless."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHOWN_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Change:
    """One text in a file that becomes another."""

    file: str
    old: str
    new: str


def mutate(name: str, changes: Sequence[Change], folder: Path) -> dict[str, str]:
    """Make a copy with these changes, and return the environment in which it is what gets imported."""
    for part in ("src", "alembic"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for change in changes:
        file = folder / change.file
        text = file.read_text()
        if text.count(change.old) != 1:
            raise RuntimeError(f"{name}: {change.file} has {text.count(change.old)} places for {change.old!r}")
        file.write_text(text.replace(change.old, change.new))
    return {**os.environ, "PYTHONPATH": str(folder / "src")}


def judged(command: Sequence[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a harness on a copy: it ends with 0, or with 1 when it has found something."""
    where = run([sys.executable, "-c", "import convo_service; print(convo_service.__file__)"], env)
    assert where.stdout.startswith(env["PYTHONPATH"]), f"not what is imported: {where.stdout}{where.stderr}"
    done = run(command, env)
    if done.returncode not in (0, 1):
        said = done.stdout[-SHOWN_CHARS:] + done.stderr[-SHOWN_CHARS:]
        raise RuntimeError(f"it ended with {done.returncode}:\n{said}")
    return done


def run(command: Sequence[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command from the checkout."""
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)  # noqa: S603
