"""A shell to run `convo-service` in."""

import subprocess
import sys
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
