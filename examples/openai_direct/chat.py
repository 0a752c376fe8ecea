"""A gateway that calls OpenAI itself, as a chat in a terminal: convo_service says which conversation it is in."""

import asyncio
import os
import sys
from datetime import UTC, datetime
from uuid import uuid4

from openai import APIError, AsyncOpenAI
from openai.types.responses import Response

from convo_service.client import ConvoClient, ProblemError
from convo_service.schemas import AppendedMessage, GetOrCreate, InboundMessage, Usage

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")


async def answer(convo: ConvoClient, openai: AsyncOpenAI, identity: str, message: InboundMessage) -> str | None:
    """Store a message, have OpenAI answer it in the right conversation, store the answer and what it used."""
    got = await convo.get_or_create(GetOrCreate(identity=identity, message=message))
    if got.created:
        print(f"({got.conversation.created_reason}: a new conversation, {got.conversation.id})", file=sys.stderr)
    if not got.input:
        return got.reply  # `/new` alone: the model is asked nothing
    made = await openai.responses.create(model=MODEL, conversation=got.conversation.id, input=got.input)
    said = AppendedMessage(direction="outbound", id=f"{message.id}.reply", text=made.output_text, usage=used(made))
    await convo.append(got.conversation.id, [said])
    return made.output_text


def used(made: Response) -> Usage | None:
    """What the answer used; with it the service can say what the windows save."""
    if made.usage is None:
        return None
    return Usage(
        model=made.model,
        input_tokens=made.usage.input_tokens,
        cached_input_tokens=made.usage.input_tokens_details.cached_tokens,
        output_tokens=made.usage.output_tokens,
    )


async def chat(identity: str) -> None:
    """One line in, one answer out, until the input ends."""
    url, key = os.environ.get("CONVO_URL", "http://127.0.0.1:8000"), os.environ["CONVO_KEY"]
    # The SDK would send a request again whose outcome it does not know, and OpenAI would answer twice.
    async with ConvoClient(url, key) as convo, AsyncOpenAI(max_retries=0) as openai:
        while line := await asyncio.to_thread(sys.stdin.readline):
            if not line.strip():
                continue
            message = InboundMessage(id=f"terminal.{uuid4()}", text=line.strip(), sent_at=datetime.now(UTC))
            try:
                print(await answer(convo, openai, identity, message) or "", flush=True)
            except (ProblemError, APIError) as error:
                print(f"{type(error).__name__}: the message is not answered", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(chat(sys.argv[1] if len(sys.argv) > 1 else "+39 333 123 4567"))
