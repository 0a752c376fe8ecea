"""The circuit breaker, by a clock of its own."""

import pytest

from convo_service.llm.breaker import FAILURES, OPEN_SECONDS, WITHIN_SECONDS, Breaker, CircuitOpen


class Failed(Exception):
    """A failure of the given weight; None: whoever asked has left."""

    def __init__(self, weight: int | None) -> None:
        self.weight = weight


class World:
    """A breaker, its clock, and calls that end as a test wants."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.breaker = Breaker(lambda: self.now)

    def call(self, weight: int | None = 0, *, fails: bool = True) -> bool:
        """Make a call; False when it was not let through."""
        try:
            with self.breaker.guard(lambda error: error.weight if isinstance(error, Failed) else 1):
                if fails:
                    raise Failed(weight)
        except CircuitOpen:
            return False
        except Failed:
            pass
        return True

    def opened(self) -> "World":
        """After enough failures."""
        for _ in range(FAILURES):
            assert self.call(1)
        return self


def test_it_opens_and_closes() -> None:
    """Five failures open it for fifteen seconds; then one call probes, and when that succeeds all go through."""
    world = World().opened()
    assert not world.call(fails=False)
    world.now += OPEN_SECONDS - 0.001
    assert not world.call(fails=False)
    world.now += 0.001
    assert world.call(fails=False)
    assert all(world.call(1) for _ in range(FAILURES))


def test_four_failures_do_not_open_it() -> None:
    """Nor do five in a longer time, nor answers of any kind."""
    world = World()
    for _ in range(3 * FAILURES):
        assert world.call(1)
        world.now += WITHIN_SECONDS / (FAILURES - 1) + 0.01
    assert all(world.call(0) for _ in range(3 * FAILURES))


def test_a_probe_that_fails_opens_it_again() -> None:
    """At once, for the whole time."""
    world = World().opened()
    world.now += OPEN_SECONDS
    assert world.call(1)
    assert not world.call(fails=False)
    world.now += OPEN_SECONDS
    assert world.call(fails=False)
    assert world.call(fails=False)


def test_one_probe_at_a_time() -> None:
    """While one probes the others are refused."""
    world = World().opened()
    world.now += OPEN_SECONDS
    with world.breaker.guard(lambda _: 1):
        assert not world.call(fails=False)
    assert world.call(fails=False)


def test_a_probe_that_leaves() -> None:
    """Who probed and was cancelled says nothing: the next one probes."""
    world = World().opened()
    world.now += OPEN_SECONDS
    assert world.call(None)
    with world.breaker.guard(lambda _: 1):
        assert not world.call(fails=False)


def test_a_decisive_failure() -> None:
    """A wrong key opens it at once."""
    world = World()
    assert world.call(2)
    assert not world.call(fails=False)


def test_how_long() -> None:
    """Who is refused is told for how long, in whole seconds."""
    world = World().opened()
    with pytest.raises(CircuitOpen) as refused, world.breaker.guard(lambda _: 0):
        pass
    assert refused.value.seconds == OPEN_SECONDS
