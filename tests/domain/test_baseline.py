"""The baseline: one endless conversation, estimated from sizes that are kept anyway."""

import pytest

from convo_service.domain.baseline import Held, Sizes, cached, item_tokens


def test_an_item_costs_more_than_its_text() -> None:
    """A quarter of the characters, rounded up, and four for the item itself."""
    assert (item_tokens(""), item_tokens("ciao"), item_tokens("ciao!")) == (4, 5, 6)


@pytest.mark.parametrize(
    ("prefix", "since", "expected"),
    [
        pytest.param(1023, 1.0, 0, id="too short to be cached"),
        pytest.param(1024, 1.0, 1024, id="the shortest that is"),
        pytest.param(1300, 3600.0, 1280, id="in steps, up to an hour"),
        pytest.param(1300, 3600.1, 0, id="forgotten"),
        pytest.param(1300, None, 0, id="never sent before"),
    ],
)
def test_what_comes_from_the_cache(prefix: int, since: float | None, expected: int) -> None:
    """A prefix is cached from 1,024 tokens on, in steps of 128, for an hour at most."""
    assert cached(prefix, since) == expected


@pytest.mark.parametrize(
    ("sizes", "counted", "expected"),
    [
        pytest.param(Sizes(800, 0, 200, 200), 1000, 1000, id="nothing before: no difference"),
        pytest.param(Sizes(800, 300, 200, 5000), 1300, 5800, id="as counted"),
        pytest.param(Sizes(800, 300, 200, 5000), 650, 2900, id="a tokenizer that counts half as much"),
        pytest.param(Sizes(None, 300, 200, 5000), 1300, 5800, id="instructions that we do not know"),
        pytest.param(Sizes(0, 0, 0, 0), 0, 0, id="nothing at all"),
        pytest.param(Sizes(100, 0, 200, 150), 300, 300, id="never less than what was said here"),
    ],
)
def test_the_endless_conversation(sizes: Sizes, counted: int, expected: int) -> None:
    """It holds all that was said, and no seed; scaled by what was really counted."""
    assert sizes.endless(counted) == expected


@pytest.mark.parametrize(
    ("held", "sizes", "counted", "expected"),
    [
        pytest.param(Held(None, None), Sizes(800, 300, 200, 5000), 1300, 5800, id="first reply ever: by the sizes"),
        pytest.param(Held(4000, 500), Sizes(800, 300, 250, 5000), 1360, 4860, id="60 more here, 60 more there"),
        pytest.param(Held(4000, None), Sizes(800, 300, 20, 5000), 560, 4810, id="a new conversation: its message"),
        pytest.param(Held(4000, 560), Sizes(None, 300, 250, 5000), 600, 4040, id="instructions that we do not know"),
        pytest.param(Held(4000, 900), Sizes(800, 300, 200, 5000), 1300, 5800, id="less than before: begun anew"),
        pytest.param(Held(4000, 500), Sizes(1800, 300, 250, 5000), 2360, 5860, id="other instructions from now on"),
    ],
)
def test_what_was_counted_before(held: Held, sizes: Sizes, counted: int, expected: int) -> None:
    """The prompt grows by what the last one grew by, whatever a character costs."""
    assert held.prompt(sizes, counted) == expected
