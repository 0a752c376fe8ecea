"""How long a model takes: for each reply, for each token that it has to read, and for each that it says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from convo_service.llm.emulator.wire import Json


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: of any reply, of an input token that is in no cache, of an output token."""

    reply: float = 0.0
    prefill: float = 0.0
    output: float = 0.0

    async def read(self, usage: Json | None) -> None:
        """The time until the first token; a run that failed has no usage."""
        uncached = usage["input_tokens"] - usage["input_tokens_details"]["cached_tokens"] if usage else 0
        await _pass(self.reply + self.prefill * uncached)

    async def speak(self, usage: Json | None, share: float = 1.0) -> None:
        """The time that a share of the reply takes to be said."""
        await _pass(self.output * usage["output_tokens"] * share if usage else 0.0)


async def _pass(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)
