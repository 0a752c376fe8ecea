"""Crash points: nothing happens, unless the environment names one."""

import os
import subprocess
import sys

import pytest

PASS_TWICE = "from convo_service.crashing import *; [crash_point(AFTER_T3) for _ in '12']; print('alive')"


@pytest.mark.parametrize(
    ("where", "code"),
    [
        pytest.param("", 0, id="nowhere"),
        pytest.param("after_t4", 0, id="at a point that is not passed"),
        pytest.param("after_t3", -9, id="at the first time"),
        pytest.param("after_t3:2", -9, id="at the second time"),
        pytest.param("after_t3:3", 0, id="at a third time that does not come"),
        pytest.param("after_t3:1:SIGTERM", -15, id="with another signal"),
    ],
)
def test_a_process_dies_where_it_is_told_to(where: str, code: int) -> None:
    """It is killed at the point that CONVO_CRASH_AT names, at the time that it names."""
    env = {**os.environ, "CONVO_CRASH_AT": where}
    done = subprocess.run([sys.executable, "-c", PASS_TWICE], env=env, capture_output=True, text=True)  # noqa: S603
    assert (done.returncode, done.stdout) == (code, "" if code else "alive\n")
