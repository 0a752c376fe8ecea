"""The attacks find what they are there to find: mistakes in a copy of the service; all are in `make attacks`."""

from pathlib import Path

import pytest

from tests.attacks.mutants import MUTANTS, Mutant, found_in

SHORT = ("unquoted", "a developer item", "used raw")


@pytest.mark.parametrize(
    "mutant", [pytest.param(one, id=one.name) for one in MUTANTS if any(word in one.name for word in SHORT)]
)
def test_a_mistake_is_seen(mutant: Mutant, migrated: Path) -> None:
    """A seed whose values are not quoted, or that is no user's item, and a model's text that is used as it came."""
    assert mutant.changes
    assert found_in(mutant, 90, "--migrated", str(migrated)) > 0
