"""A shell to run `convo-service` in."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from convo_service.settings import Settings
from tests.canaries import stored

EXPORT = ("user", "export")  # is asked for a person
COMMAND = [sys.executable, "-m", "convo_service.cli"]


class Runner:
    """Runs `convo-service` in an empty folder."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    def __call__(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        environment = {**self.environment, **more}
        done = subprocess.run(  # noqa: S603
            [*COMMAND, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=180
        )
        self.look(done.stderr, "" if arguments[:2] == EXPORT else done.stdout)
        return done

    def look(self, *outputs: str) -> None:
        """Fail when a process has said anything of the people in the database."""
        canaries = stored(Settings(_env_file=None, database_url=self.environment["DATABASE_URL"]))
        canaries.look("an output of a command", "\n".join(outputs))
        canaries.complain()


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
