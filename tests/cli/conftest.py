"""What the tests of the command line stand on."""

import os
from pathlib import Path

import pytest

from tests.cli.shell import Runner


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment with a database of this test's own and nothing else of ours."""
    kept = {
        name: os.environ[name]
        for name in os.environ
        if name in {"PATH", "HOME", "LANG", "PYTHONPATH"} or "COVERAGE" in name
    }
    return {**kept, "DATABASE_URL": f"sqlite:///{tmp_path / 'data' / 'convo.db'}"}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Runner:
    """A shell."""
    return Runner(tmp_path, environment)


@pytest.fixture
def file(run: Runner) -> Path:
    """Where the installation has its database."""
    path = run.folder / "data" / "convo.db"
    path.parent.mkdir()
    return path
