"""The gateway that calls OpenAI itself, against `serve --emulator`, both as processes of their own."""

import asyncio
import json
import os
import sys
from typing import Any

import httpx

from convo_service.client import ConvoClient
from convo_service.schemas import Conversation, Message
from tests.examples.conftest import ADMIN_KEY, EXAMPLES

IDENTITY = "+39 333 123 4567"


async def talk(url: str, *lines: str) -> tuple[list[str], str]:
    """What the gateway answers to these lines, and what it says beside."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / "openai_direct" / "chat.py"),
        IDENTITY,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(EXAMPLES.parent / "src"),
            "CONVO_URL": url,
            "CONVO_KEY": ADMIN_KEY,
            "OPENAI_API_KEY": "emulator",
            "OPENAI_BASE_URL": f"{url}/emulator/v1",
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, beside = await asyncio.wait_for(process.communicate("\n".join(lines).encode()), 60)
    assert process.returncode == 0, beside.decode()
    return said.decode().splitlines(), beside.decode()


async def test_a_chat(served_with_emulator: str) -> None:
    """Each line is answered, `/new` opens a conversation, and the service has the whole talk and what it used."""
    said, beside = await talk(served_with_emulator, "Avete la farina?", "/new", "E il lievito?")
    assert len(said) == 3
    assert ("first_contact" in beside, "user_reset" in beside) == (True, True)
    async with ConvoClient(served_with_emulator, ADMIN_KEY) as convo:
        user = await convo.look_up(IDENTITY)
        newest, oldest = [one async for one in convo.conversations()]
        thread: list[Message] = [one async for one in convo.whole_thread(user.id)]
        savings = await convo.savings()
    assert isinstance(newest, Conversation)
    assert newest.parent_conversation_id == oldest.id
    assert [one.text for one in thread if one.direction == "inbound"] == ["Avete la farina?", "/new", "E il lievito?"]
    assert [one.text for one in thread if one.direction == "outbound"] == [said[0], said[2]]
    assert savings.window.used.replies == 2
    assert savings.window.used.input_tokens > 0


async def test_the_emulator_beside_the_service(served_with_emulator: str) -> None:
    """What `serve --emulator` has in OpenAI's place answers under a path of its own, and nothing else of it does."""
    async with httpx.AsyncClient(base_url=served_with_emulator) as http:
        made = await http.post("/emulator/v1/conversations", json={}, headers={"Authorization": "Bearer x"})
        hidden: list[Any] = [(await http.get(path)).status_code for path in ("/emulator/_emulator/calls", "/emulator")]
    assert json.loads(made.content)["id"].startswith("conv_")
    assert hidden == [404, 404]
