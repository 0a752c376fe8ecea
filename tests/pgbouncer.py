"""A throw-away PgBouncer in front of a PostgreSQL of the tests, as far as this machine has one."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

BINARY = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
START_SECONDS = 10
# Two connections to the server, so that clients have to share them; everything else is the default.
INI = """
[databases]
* = host={server} user=postgres
[pgbouncer]
pool_mode = transaction
default_pool_size = 2
unix_socket_dir = {folder}
listen_port = 6432
auth_type = trust
auth_file = {folder}/users
"""


@contextmanager
def in_front_of(url: str, folder: Path) -> Iterator[str]:
    """Run one, and yield the URL by which the service reaches the same database through it."""
    assert BINARY is not None
    server = sa.make_url(url)
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "ini").write_text(INI.format(server=server.query["host"], folder=folder))
    command = [BINARY, "--quiet", str(folder / "ini")]
    if os.geteuid() == 0:  # it refuses to run as root
        command[1:1] = ["--user=nobody"]
        folder.chmod(0o777)
    process = subprocess.Popen(command, stderr=subprocess.PIPE)  # noqa: S603
    try:
        _wait(process, folder / ".s.PGSQL.6432")
        yield server.update_query_dict({"host": str(folder), "port": "6432", "pgbouncer": "true"}).render_as_string()
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _wait(process: "subprocess.Popen[bytes]", socket: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"PgBouncer did not start: {process.communicate()[1].decode()}")
        time.sleep(0.02)
