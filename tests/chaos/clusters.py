"""PostgreSQL servers that belong to one scenario alone: they may crash, or run out of room."""

import asyncio

import asyncpg
from alembic import command

from convo_service.db import migrations
from tests.postgres import Server

NAME = "chaos"
HOST = "127.0.0.1"


def over_tcp(port: int) -> dict[str, str]:
    """Settings of a server that replicas reach as they reach one on another machine."""
    return {"listen_addresses": HOST, "port": str(port)}


def url(server: Server) -> str:
    """The URL of the scenario's database."""
    return f"postgresql+asyncpg://postgres@{HOST}:{server.settings['port']}/{NAME}"


async def create(server: Server, *, tablespace: str | None = None) -> str:
    """Make the migrated database, perhaps with its tables elsewhere; its URL."""
    where = ""
    if tablespace is not None:
        await execute(server, f"CREATE TABLESPACE elsewhere LOCATION '{tablespace}'")
        where = "TABLESPACE elsewhere"
    await execute(server, f"CREATE DATABASE {NAME} {where}")
    await asyncio.to_thread(command.upgrade, migrations.config(url(server)), "head")
    return url(server)


async def execute(server: Server, statement: str) -> None:
    """Run a statement outside any transaction."""
    connection = await asyncpg.connect(
        host=HOST, port=int(server.settings["port"]), user="postgres", database="postgres"
    )
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def accepts(server: Server) -> bool:
    """Whether it takes connections."""
    try:
        await execute(server, "SELECT 1")
    except (OSError, asyncpg.PostgresError):
        return False
    return True
