"""What a page costs: as many statements for a long history as for a short one, none of which goes through a table."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from tests.conftest import Clock
from tests.dashboard.conftest import Desk, Maria, pages_of
from tests.gateway import Gateway

LARGE = ("messages", "conversations", "model_calls", "notes", "users", "turns", "seeds", "summaries", "profiles")
ALLOWED = {
    ("/savings?days=0", "SCAN model_calls"),  # all of the ledger is what it is asked for
    (
        "/users?q=maria",
        "SCAN profiles",
    ),  # a part of a name, as GET /users finds it: grows with customers, not with talk
}
Statement = tuple[str, Any]


@contextmanager
def heard(database: Database) -> Iterator[list[Statement]]:
    """The statements of readers."""
    said: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        said.append((statement, parameters))

    engine = database.engines[-1].sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield said
    sa.event.remove(engine, "before_cursor_execute", note)


async def plan(database: Database, statement: str, parameters: Any) -> list[str]:
    """How SQLite carries it out."""
    async with database.read.begin() as tx:
        connection = await tx.connection()
        rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [str(row.detail) for row in rows]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_page_reads_a_table_through(desk: Desk, database: Database, maria: Maria) -> None:
    """Every statement of every page finds its rows by an index, but for what is asked for as a whole."""
    through = set()
    for path in (*pages_of(maria), f"/users/{maria.id}/live?after=x", "/users/list"):
        with heard(database) as said:
            await desk.http.get(f"/dashboard{path}")
        assert said, path
        for statement, parameters in said:
            if statement.upper().startswith("SELECT"):
                steps = await plan(database, statement, parameters)
                through |= {(path, step) for step in steps if step.removeprefix("SCAN ") in LARGE}
    assert through == ALLOWED


async def test_a_long_history_costs_no_more_statements(
    desk: Desk, database: Database, gateway: Gateway, clock: Clock, maria: Maria
) -> None:
    """With many messages, windows and customers a page takes the statements that it takes with few."""

    async def statements(path: str) -> int:
        with heard(database) as said:
            await desk.see(path)
        return len(said)

    async def count() -> dict[str, int]:  # the key is read anew every few seconds, whoever asks
        return {path: min([await statements(path), await statements(path)]) for path in pages_of(maria)}

    few = await count()
    for number in range(12):
        await gateway.say(f"Sono il numero {number}", identity=f"+39333000{number:04}")
        await gateway.say(f"farina {number}")
        await gateway.http.post(f"/users/{maria.id}/reset")
        body = {"kind": "issue", "text": f"questione {number}"}
        await gateway.http.post(f"/users/{maria.id}/notes", json=body)
    many = await count()
    assert {path: (few[path], many[path]) for path in few if many[path] > few[path]} == {}
    assert max(many.values()) < 40
