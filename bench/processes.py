"""The real processes that a bench runs against: the emulator, the service, PostgreSQL; all end with the bench."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import httpx
import sqlalchemy as sa
from tests import postgres

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent  # not resolved: the links of a virtual environment lead out of it
KEY = "csk_bench_" + "0" * 32
START_SECONDS, STOP_SECONDS = 60, 15
# The worker stays off, so that every call that the emulator counts was made while a user waited; and the bench is
# one key that is faster than the limits of one key and of one user.
KNOBS = {
    "OPENAI_API_KEY": "sk-emulator",
    "BOOTSTRAP_ADMIN_KEY": KEY,
    "KEY_PEPPER": "pepper",
    "WORKER_ENABLED": "false",
    "RATE_LIMIT_PER_MINUTE": "1000000",
    "USER_TURNS_PER_MINUTE": "1000000",
    "USER_RESETS_PER_HOUR": "1000000",
    "LOG_FORMAT": "json",
}


class Broken(Exception):
    """A process or a request did not do its part; the text says which and how."""


@contextmanager
def emulator(folder: Path, *, reply_seconds: float = 0.0) -> Iterator[str]:
    """Run the emulator, whose replies take so long, and yield its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(BIN / "uvicorn"), "bench.emulator_app:app", "--port", str(port), "--no-access-log"]
    env = {"EMULATOR_REPLY_SECONDS": str(reply_seconds)}
    with running(command, folder / "emulator.log", ROOT, env, f"{url}/_emulator/calls"):
        yield url


@contextmanager
def service(folder: Path, database_url: str, openai_url: str, knobs: Mapping[str, str]) -> Iterator[str]:
    """Migrate a database, serve it and yield the service's URL."""
    with service_process(folder, database_url, openai_url, knobs) as (url, _process):
        yield url


@contextmanager
def service_process(
    folder: Path, database_url: str, openai_url: str, knobs: Mapping[str, str]
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The same, with its process."""
    env = {**KNOBS, **knobs, "DATABASE_URL": database_url, "OPENAI_BASE_URL": f"{openai_url}/v1"}
    command_line(folder, env, "migrate")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(BIN / "convo-service"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, folder / "service.log", folder, env, f"{url}/readyz") as process:
        yield url, process


@contextmanager
def served(folder: Path, factory: str, knobs: Mapping[str, str]) -> Iterator[str]:
    """Serve the app that a factory of the benches makes, as the service is served, and yield its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(BIN / "uvicorn"), "--factory", factory, "--port", str(port), "--no-access-log"]
    with running(command, folder / f"{factory}.log", ROOT, knobs, f"{url}/readyz"):
        yield url


def command_line(folder: Path, knobs: Mapping[str, str], *arguments: str) -> str:
    """Run `convo-service` with these arguments, and return what it prints."""
    done = subprocess.run(  # noqa: S603 - our own command
        [BIN / "convo-service", *arguments],
        cwd=folder,
        env=environment(knobs),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Broken(f"`convo-service {arguments[0]}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def copied(url: str, name: str) -> str:
    """Copy a database that nobody uses, and return the copy's URL."""
    parsed = sa.make_url(url)
    assert parsed.database is not None
    if parsed.drivername.startswith("sqlite"):
        copy = Path(parsed.database).with_name(f"{name}.db")
        shutil.copy(parsed.database, copy)
        return f"sqlite+aiosqlite:///{copy}"
    socket_folder = Path(str(parsed.query["host"]))
    asyncio.run(_create(socket_folder, [name], template=parsed.database))
    return postgres.url(socket_folder, name)


@contextmanager
def postgres_databases(names: list[str]) -> Iterator[dict[str, str]]:
    """Run PostgreSQL and yield the URLs of fresh databases."""
    with postgres.server() as folder:
        asyncio.run(_create(folder, names))
        yield {name: postgres.url(folder, name) for name in names}


async def _create(folder: Path, names: list[str], template: str = "template1") -> None:
    connection = await asyncpg.connect(host=str(folder), user="postgres", database="postgres")
    try:
        for name in names:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    finally:
        await connection.close()


@contextmanager
def running(
    command: list[str], log: Path, cwd: Path, env: Mapping[str, str], ready: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command as long as the block; `ready` is the URL that has to answer before it begins."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=cwd, env=environment(env), stdout=output, stderr=output)  # noqa: S603
    try:
        if ready is not None:
            _wait(process, ready, log)
        yield process
    finally:
        _stop(process)


def environment(knobs: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the caller's own settings: the same command gives the same run everywhere."""
    names = ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR")  # the second for a tree that is not the installed one
    kept = {name: value for name, value in os.environ.items() if name in names}
    return {**kept, **knobs}


def _wait(process: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(ready):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Broken(f"{ready} does not answer:\n{tail(log)}")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def tail(log: Path, chars: int = 2000) -> str:
    """The end of a log."""
    return log.read_text(errors="replace")[-chars:]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
