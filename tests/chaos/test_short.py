"""A short round of chaos on each database: what shows the most in a minute, and does not depend on the machine."""

from pathlib import Path

import pytest

from tests.chaos import collecting, disks, scenarios, stops, turning
from tests.chaos.scenario import Scenario
from tests.chaos.storm import Weather


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(scenarios.crash_points(), id="crash-points"),
        pytest.param(scenarios.crash_points_with_a_reserve(), id="reserve"),
        pytest.param(collecting.dying_collectors(), id="dying-collectors"),
        pytest.param(scenarios.random_kills(Weather(kills=8)), id="kills"),
        pytest.param(scenarios.same_id(10), id="the-same-id"),
        pytest.param(scenarios.burst(6), id="burst-after-expiry"),
        pytest.param(turning.dying_turns(), id="dying-turns"),
        pytest.param(disks.disk_full(), id="disk-full"),
        pytest.param(stops.stops(2), id="stops"),
    ],
)
async def test_no_promise_is_broken(scenario: Scenario, database_url: str, tmp_path: Path) -> None:
    """Replicas die, webhooks repeat, OpenAI loses answers: both sides still agree, and every answer stands."""
    outcome = await scenario.run(database_url, tmp_path)
    if not outcome.is_shown:
        pytest.skip(outcome.figure)
    assert not outcome.violations, "\n".join(outcome.violations)
