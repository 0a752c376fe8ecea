"""The OpenAI stand-in as a process of its own: `uvicorn bench.emulator_app:app`."""

from convo_service.llm.emulator import Emulator

app = Emulator()
