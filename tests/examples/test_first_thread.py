"""The commands of docs/first-thread.md, as they stand there, against the service as `make run` starts it."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.examples.conftest import EXAMPLES

DOCUMENT = (EXAMPLES.parent / "docs" / "first-thread.md").read_text()
BASE = "http://127.0.0.1:8000"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_first_thread(served_with_emulator: str, tmp_path: Path) -> None:
    """Each command gives what the comment above it says."""
    _, commands = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    (tmp_path / "var").mkdir(exist_ok=True)
    (tmp_path / "var" / "key").write_text("k" * 40)
    script = commands.replace(BASE, served_with_emulator)
    done = subprocess.run(["/bin/bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)  # noqa: S603
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    first, again, new, conversations, thread, seed = answers
    assert first["status"] == new["status"] == "completed"
    assert (again["duplicate"], again["reply"]) == (True, first["reply"])
    assert new["conversation"]["created_reason"] == "user_reset"
    assert conversations["data"][0]["parent_conversation_id"] == first["conversation"]["id"]
    assert [one["direction"] for one in thread["data"]] == ["inbound", "outbound"] * 2
    assert "farina" in seed["text"]
