"""The seed against people who write to get at the bot: at the wire, whatever the summary model says."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.campaign import WAYS, run
from tests.attacks.corpora import attacks, ours

LEAST = 1500


def test_there_are_enough() -> None:
    """Our own set and what comes from it are enough without any optional corpus, and no string counts twice."""
    texts = [attack.text for attack in attacks() if attack.source.startswith(("ours", "bastioncorpus"))]
    assert len(ours()) >= 150
    assert len(set(texts)) == len(texts) >= LEAST


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_but_the_record_reaches_openai(
    way: str, migrated: Path, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Each string, the whole way: two items, the constant and a record in which everything is somebody's word."""
    tally = await run(migrated, tmp_path, way, WAYS[way], attacks())
    strings = tally.strings.total()
    record_testsuite_property(f"attacks, {way}", f"{strings} strings, {len(tally.violations)} violations")
    assert tally.violations[:5] == []
    assert tally.reached > 0.95 * strings  # what does not get there proves nothing
    assert (tally.kept > strings) == (way == "captured model")
