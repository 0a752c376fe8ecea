"""A short round of chaos on each database: every crash point, ten kills under load, repeats and bursts."""

from pathlib import Path

import pytest

from tests.chaos import collecting, scenarios
from tests.chaos.scenario import Scenario
from tests.chaos.storm import Weather


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(scenarios.crash_points(), id="crash-points"),
        pytest.param(collecting.dying_collectors(), id="dying-collectors"),
        pytest.param(scenarios.random_kills(Weather(kills=10)), id="ten-kills"),
        pytest.param(scenarios.same_id(10), id="the-same-id"),
        pytest.param(scenarios.burst(6), id="burst-after-expiry"),
    ],
)
async def test_no_promise_is_broken(scenario: Scenario, database_url: str, tmp_path: Path) -> None:
    """Replicas die, webhooks repeat, OpenAI loses answers: both sides still agree, and every answer stands."""
    outcome = await scenario.run(database_url, tmp_path)
    assert not outcome.violations, "\n".join(outcome.violations)
