"""The rollout: a small group first, the same on every replica."""

from convo_service.domain.rollout import Cohort, Rollout

USERS = [f"usr_{number}" for number in range(4000)]


def inside(percent: float) -> set[str]:
    """The users of a rollout."""
    return {user for user in USERS if Rollout(percent).cohort(user) is Cohort.WINDOW}


def test_share() -> None:
    """About the given share of the users is inside."""
    assert 0.08 < len(inside(10)) / len(USERS) < 0.12


def test_growth() -> None:
    """A larger percentage only adds users: nobody falls out of the rollout when it grows."""
    assert inside(0) < inside(10) < inside(50) < inside(100) == set(USERS)


def test_named() -> None:
    """Identities that are named are inside whatever the percentage."""
    rollout = Rollout(0, frozenset({"+39333"}))
    assert rollout.cohort("usr_1", ["+39333"]) is Cohort.WINDOW
    assert rollout.cohort("usr_1", ["+39334"]) is Cohort.HOLDOUT
