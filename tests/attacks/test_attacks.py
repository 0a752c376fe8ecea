"""The seed against people who write to get at the bot: at the wire, whatever the summary model says."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from convo_service.telemetry import configure_logging
from tests.attacks.campaign import WAYS, played
from tests.attacks.corpora import attacks, in_the_suite, ours
from tests.canaries import as_it_was

LEAST = 1500


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    """Thousands of lines would be rendered for nobody."""
    with as_it_was():
        configure_logging(level="error")
        yield


def test_there_are_enough() -> None:
    """Our own set and what comes from it are enough without any optional corpus, and no string counts twice."""
    texts = [attack.text for attack in in_the_suite()]
    assert len(ours()) >= 150
    assert len(set(texts)) == len(texts) >= LEAST
    assert set(texts) <= {attack.text for attack in attacks()}


@pytest.mark.no_cover  # which takes as long again, and nothing is gone through here alone
@pytest.mark.parametrize("way", WAYS)
def test_nothing_but_the_record_reaches_openai(
    way: str, migrated: Path, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Each string, the whole way: two items, the constant and a record in which everything is somebody's word."""
    tally = played(migrated, tmp_path, way, WAYS[way], in_the_suite())
    strings = tally.strings.total()
    record_testsuite_property(f"attacks, {way}", f"{strings} strings, {len(tally.violations)} violations")
    assert tally.violations[:5] == []
    assert tally.reached > 0.95 * strings  # what does not get there proves nothing
    assert (tally.kept > strings) == (way == "captured model")
