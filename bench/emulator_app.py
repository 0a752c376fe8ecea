"""The OpenAI stand-in as a process of its own: `uvicorn bench.emulator_app:app`."""

import os

from convo_service.llm.emulator import Emulator, Pace

app = Emulator(pace=Pace(reply=float(os.environ.get("EMULATOR_REPLY_SECONDS", "0"))))
