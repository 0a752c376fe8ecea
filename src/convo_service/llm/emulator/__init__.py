"""An OpenAI stand-in: an ASGI app for the Conversations and Responses APIs that the real SDK can talk to."""

from convo_service.llm.emulator.app import Emulator
from convo_service.llm.emulator.pace import Pace

__all__ = ["Emulator", "Pace"]
