"""Replaying the stored history: whatever page a message is on, whoever is sampled, and nothing is written."""

from datetime import timedelta

import pytest

from convo_service.db.engine import open_database
from convo_service.domain.simulation import ENDLESS, Rules
from convo_service.services.legacy import Progress
from convo_service.services.simulation import Played, Simulation, Wanted
from convo_service.settings import Settings
from tests.history import store

RULES = (Rules(timedelta(hours=24), 50, 300), Rules(timedelta(hours=72), 10, 100))
EVERYTHING = 10**6


@pytest.fixture
async def history(settings: Settings) -> Settings:
    """Twelve users of 20 turns each."""
    await store(settings.database_url, users=12, turns=20)
    return settings


async def play(settings: Settings, exact: int, *, users: int | None = None, page: int = 5000) -> Played:
    """Replay it, and check that the progress adds up."""
    seen: list[int] = []

    def watch(total: int) -> Progress:
        seen.append(-total)
        return seen.append

    database = open_database(settings.database_url)
    try:
        wanted = Wanted(RULES, users=users, exact_messages=exact)
        played = await Simulation(database, settings, wanted, page=page).run(watch)
    finally:
        await database.close()
    assert sum(seen) == 0
    return played


@pytest.mark.parametrize("page", [1, 7, 40, 480])
async def test_pages_make_no_difference(history: Settings, page: int) -> None:
    """A user's messages are one talk, on however many pages they come."""
    whole, paged = await play(history, EVERYTHING), await play(history, 100, page=page)
    assert (whole.users, whole.messages, whole.exact_users) == (12, 480, 12)
    assert (paged.users, paged.messages, paged.exact_users) == (12, 480, 3)
    assert paged.comparison.tallies[ENDLESS] == whole.comparison.tallies[ENDLESS]


async def test_estimated_seeds_are_nearly_as_large_as_real_ones(history: Settings) -> None:
    """When a quarter of the users have theirs really made, the whole is off by less than two percent."""
    exact, estimated = await play(history, EVERYTHING), await play(history, 100)
    for rules in RULES:
        real, guessed = exact.comparison.tallies[rules], estimated.comparison.tallies[rules]
        assert (guessed.replies, guessed.conversations, guessed.cuts) == (real.replies, real.conversations, real.cuts)
        assert guessed.input_tokens == pytest.approx(real.input_tokens, rel=0.02)


async def test_a_sample_of_users(history: Settings) -> None:
    """So many users as are asked for, with real seeds for a part of them; the same ones each time."""
    some = await play(history, 100, users=5)
    assert (some.users, some.messages, some.exact_users) == (5, 200, 3)
    assert (await play(history, 100, users=5)).comparison.tallies == some.comparison.tallies
    assert (await play(history, 100, users=50)).users == 12
