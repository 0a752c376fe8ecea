"""A shell to run `convo-service` in."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

COMMAND = [sys.executable, "-m", "convo_service.cli"]


class Runner:
    """Runs `convo-service` in an empty folder."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    def __call__(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        environment = {**self.environment, **more}
        return subprocess.run(  # noqa: S603
            [*COMMAND, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60
        )


def installation(run: Runner, url_: str) -> Runner:
    """A migrated installation of its own."""
    made = Runner(run.folder, {**run.environment, "DATABASE_URL": url_})
    assert made("migrate").returncode == 0
    return made


def killed(run: Runner, *arguments: str, when: Callable[[], bool], after: float = 0) -> None:
    """Start a command and kill it when something is so, or some seconds later; it may have ended before."""
    process = subprocess.Popen(  # noqa: S603
        [*COMMAND, *arguments], cwd=run.folder, env=run.environment, stdout=subprocess.DEVNULL
    )
    while not when() and process.poll() is None:
        time.sleep(0.001)
    time.sleep(after)
    process.kill()
    process.wait()
