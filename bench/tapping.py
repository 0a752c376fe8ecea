"""A tap on the wire to OpenAI: it knows every prompt, and counts it without the service's or the emulator's help."""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

ITEM_TOKENS = 4  # beside the text of each item, as in OpenAI's chat format
Count = Callable[[str], int]


def exact() -> Count | None:
    """A counter by OpenAI's own encoding, if the tokenizer is installed."""
    try:
        import toktok  # noqa: PLC0415 - nobody but this needs it
    except ImportError:
        return None
    return lambda text: int(toktok.batch_count([text], "o200k_base")[0])


@dataclass(slots=True)
class Tap:
    """Stands before the emulator; `prompts` and `spoken` are the sums over all responses."""

    app: ASGIApp
    count: Count
    prompts: int = 0
    spoken: int = 0
    _sizes: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and look at it and at its answer."""
        sent, answered = bytearray(), bytearray()

        async def listen() -> Message:
            message = await receive()
            sent.extend(message.get("body", b""))
            return message

        async def pass_on(message: Message) -> None:
            answered.extend(message.get("body", b""))
            await send(message)

        await self.app(scope, listen, pass_on)
        if scope["method"] == "POST":
            self._see(scope["path"], json.loads(sent or b"{}"), json.loads(answered))

    def _see(self, path: str, asked: dict[str, Any], answer: dict[str, Any]) -> None:
        if answer.get("error"):
            return
        if path == "/v1/conversations":
            self._sizes[answer["id"]] += self._of(asked.get("items") or [])
        elif path.endswith("/items"):
            self._sizes[path.split("/")[-2]] += self._of(asked["items"])
        elif path == "/v1/responses":
            self._response(asked, answer)

    def _response(self, asked: dict[str, Any], answer: dict[str, Any]) -> None:
        given = asked["input"]
        heard = self._of([{"content": given}] if isinstance(given, str) else given)
        said = self._of(answer["output"])
        before = self._sizes[asked["conversation"]] if asked.get("conversation") else 0
        self.prompts += self.count(asked.get("instructions") or "") + before + heard
        self.spoken += said
        if asked.get("conversation"):
            self._sizes[asked["conversation"]] += heard + said

    def _of(self, items: list[dict[str, Any]]) -> int:
        return sum(self.count(_text(item["content"])) + ITEM_TOKENS for item in items)


def _text(content: str | list[dict[str, Any]]) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
