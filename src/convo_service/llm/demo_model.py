"""A model that says what the demo's story wants, and what saying it used: the real SDK in front of an emulator."""

from dataclasses import dataclass

import httpx2
import openai

from convo_service.llm.emulator import Emulator

MODEL = "emulator"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said, and the tokens that the emulator counted."""

    text: str
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int


class ScriptedModel:
    """OpenAI as a gateway that calls it itself sees it; `emulator` stays its owner's to close."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._sdk = openai.AsyncOpenAI(
            api_key="emulator",
            base_url="http://emulator/v1",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=httpx2.ASGITransport(app=emulator)),
        )

    async def open_conversation(self) -> str:
        """Create an empty conversation and return its id."""
        return (await self._sdk.conversations.create()).id

    async def reply(self, conversation_id: str, text: str, *, scripted: str) -> Reply:
        """Ask for a response to `text`; it will be `scripted`, and its usage is measured."""
        self._emulator.reply_next(scripted)
        made = await self._sdk.responses.create(model=MODEL, conversation=conversation_id, input=text)
        if made.usage is None:
            raise ValueError("the emulator reported no usage")
        cached = made.usage.input_tokens_details.cached_tokens
        return Reply(made.output_text, made.usage.input_tokens, cached, made.usage.output_tokens)

    async def close(self) -> None:
        """Close the connections."""
        await self._sdk.close()
