"""One message more in a conversation, without HTTP: a library and its database in one process, eight users at once.

Run by `peers.py`, by the Python of the library: `library.py NAME URL SIZES TEXT` prints messages a second for each
size.
"""

# ruff: noqa: PLC0415 - whoever runs this has one of the libraries only
import asyncio
import json
import sys
import time
from abc import ABC, abstractmethod
from typing import Any

USERS = 8


class Library(ABC):
    """What keeps conversations."""

    @abstractmethod
    async def open(self) -> None:
        """Make what it needs."""

    @abstractmethod
    async def add(self, conversation: str, texts: list[str]) -> None:
        """Append messages."""

    async def fill(self, conversation: str, texts: list[str]) -> None:
        """Make a conversation of so many messages."""
        await self.add(conversation, texts)


class Sessions(Library):
    """A session of openai-agents for each conversation."""

    def __init__(self, name: str, url: str) -> None:
        self._name, self._url = name, url
        self._sessions: dict[str, Any] = {}
        self._engine: Any = None

    async def open(self) -> None:
        """One engine for all sessions, and the tables, which need one session to be made."""
        if self._name == "SQLAlchemySession":
            from sqlalchemy.ext.asyncio import create_async_engine

            self._engine = create_async_engine(self._url)
            await self.add("first", ["x"])

    async def add(self, conversation: str, texts: list[str]) -> None:
        """Append messages."""
        if conversation not in self._sessions:
            self._sessions[conversation] = self._session(conversation)
        await self._sessions[conversation].add_items([{"role": "user", "content": text} for text in texts])

    def _session(self, conversation: str) -> Any:
        if self._engine is None:
            from agents import SQLiteSession  # type: ignore[import-not-found]

            return SQLiteSession(conversation, self._url)
        from agents.extensions.memory import SQLAlchemySession  # type: ignore[import-not-found]

        return SQLAlchemySession(conversation, engine=self._engine, create_tables=conversation == "first")


class Ours(Library):
    """ConversationService: the message is a customer's, with its id, and its window is decided."""

    def __init__(self, _name: str, url: str) -> None:
        self._url = url
        self._service: Any = None
        self._ids = 0

    async def open(self) -> None:
        """Migrate, and put the emulator where OpenAI would be."""
        from alembic import command

        from convo_service.app import utc_now
        from convo_service.db import migrations
        from convo_service.db.engine import open_database
        from convo_service.llm.client import LLMClient
        from convo_service.llm.emulator import Emulator
        from convo_service.services.conversations import ConversationService
        from convo_service.settings import Settings

        await asyncio.to_thread(command.upgrade, migrations.config(self._url), "head")
        most = 10**9
        settings = Settings(
            _env_file=None, database_url=self._url, max_conversation_messages=most, user_turns_per_minute=most
        )
        llm = LLMClient.against(Emulator())
        self._service = ConversationService(open_database(self._url), llm, settings, utc_now)

    async def add(self, conversation: str, texts: list[str]) -> None:
        """Let messages arrive."""
        from convo_service.services.arrivals import Call
        from convo_service.services.messages import NewMessage

        for text in texts:
            self._ids += 1
            message = NewMessage("inbound", text, f"wamid.{self._ids}")
            await self._service.get_or_create(Call(identity=f"bench:{conversation}", message=message))

    async def fill(self, conversation: str, texts: list[str]) -> None:
        """The first message opens it, the others come as a batch."""
        from convo_service.services.arrivals import Call
        from convo_service.services.messages import NewMessage

        opened = await self._service.get_or_create(Call(identity=f"bench:{conversation}"))
        await self._service.append(opened.conversation.id, [NewMessage("inbound", text) for text in texts])


async def speed(library: Library, length: int, conversations: int, appends: int, text: str) -> float:
    """Messages a second."""
    names = [f"{length}.{one}" for one in range(conversations)]
    for name in names:
        await library.fill(name, [text] * length)

    async def talk(user: int) -> None:
        for _ in range(appends):
            for name in names[user::USERS]:
                await library.add(name, [text])

    began = time.perf_counter()
    await asyncio.gather(*map(talk, range(USERS)))
    return conversations * appends / (time.perf_counter() - began)


async def main() -> None:
    """Print the speed for each size."""
    name, url, sizes, text = sys.argv[1:]
    library = Ours(name, url) if name == "convo_service" else Sessions(name, url)
    await library.open()
    found = [
        await speed(library, length, conversations, appends, text)
        for length, conversations, appends in json.loads(sizes)
    ]
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
