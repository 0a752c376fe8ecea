"""A page costs the same however much there is: counted in steps of SQLite's virtual machine, which are exact."""

import shutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.services import history, search
from convo_service.services.history import ConversationFilter
from convo_service.services.paging import Listing, Page
from tests.databases import steps
from tests.filling import FREQUENT_WORD, RARE_WORD, Filling, conversation, fill_sqlite, message, user

SIZES = (1_000, 50_000)
# Lists may differ by a few steps; FTS5 has no blocks to look up in its own tables before a word fills more than one.
TOLERANCE, OF_FTS5 = 0.02, 0.6

Reading = Callable[[AsyncSession, Filling], Awaitable[Listing[Any]]]


def conversations(page: Page | None = None, **wanted: Any) -> Reading:
    """A page of `GET /conversations`."""
    return lambda tx, _filling: history.conversations(tx, ConversationFilter(**wanted), page or Page())


def created(tx: AsyncSession, filling: Filling) -> Awaitable[Listing[Any]]:
    """The conversations of a time in the middle."""
    middle = filling.conversations // 2
    wanted = ConversationFilter(
        created_after=filling.began(middle), created_before=filling.began(middle + 25) - timedelta(microseconds=10)
    )
    return history.conversations(tx, wanted, Page())


def deep(tx: AsyncSession, filling: Filling) -> Awaitable[Listing[Any]]:
    """A page in the middle of all conversations."""
    return history.conversations(tx, ConversationFilter(), Page(after=conversation(filling.conversations // 2)))


def deep_search(tx: AsyncSession, filling: Filling) -> Awaitable[Listing[Any]]:
    """A page in the middle of what a frequent word finds."""
    return search.messages(tx, FREQUENT_WORD, Page(after=message(filling.messages // 2)))


READINGS: dict[str, Reading] = {
    "all": conversations(),
    "all, oldest first": conversations(Page(order="asc")),
    "deep": deep,
    "of a user": conversations(user_id=user(3)),
    "open": conversations(is_active=True),
    "open, oldest first": conversations(Page(order="asc"), is_active=True),
    "closed": conversations(is_active=False),
    "a rare topic": conversations(topic="ordini"),
    "the usual topic": conversations(topic="general"),
    "a rare template": conversations(template="vip"),
    "a rare reason": conversations(created_reason="user_reset"),
    "the usual reason": conversations(created_reason="idle_timeout"),
    "a topic that is nowhere": conversations(topic="resi"),
    "created": created,
    "before": lambda tx, filling: history.conversations(
        tx, ConversationFilter(last_message_before=filling.began(filling.conversations // 2)), Page()
    ),
    "a thread": lambda tx, _: history.conversation_messages(tx, conversation(3), Page(order="asc")),
    "a chain": lambda tx, _: history.chain(tx, conversation(3), Page(order="asc")),
    "users": lambda tx, _: history.find_users(tx, Page()),
    "a user's messages": lambda tx, _: history.user_messages(tx, user(3), Page()),
    "a user's notes": lambda tx, _: history.user_notes(tx, user(3), Page(), kind="issue", status="open"),
    "a user's summaries": lambda tx, _: history.user_summaries(tx, user(3), Page()),
    "a frequent word": lambda tx, _: search.messages(tx, FREQUENT_WORD, Page()),
    "a frequent word, oldest first": lambda tx, _: search.messages(tx, FREQUENT_WORD, Page(order="asc")),
    "a frequent word, deep": deep_search,
    "a rare word": lambda tx, _: search.messages(tx, RARE_WORD, Page()),
    "a rare word and a frequent one": lambda tx, _: search.messages(tx, f"{RARE_WORD} {FREQUENT_WORD}", Page()),
    "the beginning of a rare word": lambda tx, _: search.messages(tx, RARE_WORD[:-1], Page()),
}
EMPTY = {"a topic that is nowhere"}


@pytest.fixture(scope="module")
def files(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A file of each size."""
    folder = tmp_path_factory.mktemp("filled")
    made = {size: folder / f"{size}.db" for size in SIZES}
    for size, file in made.items():
        shutil.copy(migrated, file)
        fill_sqlite(file, Filling(size))
    return made


@pytest.mark.parametrize("name", READINGS)
async def test_a_page_costs_the_same(files: dict[int, Path], name: str) -> None:
    """Fifty times as many rows take the same steps a page."""
    reading = READINGS[name]
    (few, page), (many, larger) = [
        await steps(file, lambda tx, size=size: reading(tx, Filling(size)))  # type: ignore[misc]
        for size, file in files.items()
    ]
    rows, more_rows = len(page.rows), len(larger.rows)
    assert rows == more_rows
    assert (rows == 0) == (name in EMPTY)
    assert many <= few * (1 + (OF_FTS5 if "word" in name else TOLERANCE)), (few, many)
