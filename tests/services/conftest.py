"""What the tests of the sweep and of summaries stand on: a model behind the emulator, and a sweep."""

from collections.abc import Iterator

import pytest

from convo_service.db.engine import Database
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services.sweep import Sweep
from convo_service.settings import Settings
from tests.conftest import Clock
from tests.model import Model


@pytest.fixture
def model() -> Model:
    """Says what a test wants it to say."""
    return Model()


@pytest.fixture
def emulator(model: Model) -> Iterator[Emulator]:
    """OpenAI, with this model."""
    emulator = Emulator(model=model)
    yield emulator
    emulator.close()


@pytest.fixture
def sweep(database: Database, llm: LLMClient, settings: Settings, clock: Clock) -> Sweep:
    """The worker's sweep, on the service's own database."""
    return Sweep(database, llm, settings, clock)
