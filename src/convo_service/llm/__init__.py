"""OpenAI: the client, and the emulator that stands in for it."""
