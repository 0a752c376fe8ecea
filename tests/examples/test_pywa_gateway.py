"""The WhatsApp gateway of the examples: signed webhooks go in, and what a small stand-in for the Graph API is sent."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from convo_service.llm.emulator import Emulator
from tests.examples.conftest import EXAMPLES, Service, free_port, running
from tests.examples.webhooks import BSUID, HIDDEN, NOBODYS_PHONE, PHONE, SECRET, contact, message, signed, webhook
from tests.serving import served

pytest.importorskip("pywa", reason="the example's own requirement, pywa, is not installed")

RESPONSES = "responses.create"
SCRIPT = str(EXAMPLES / "pywa_gateway" / "gateway.py")


@dataclass(slots=True)
class Graph:
    """The Graph API, as far as the gateway knows it."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    failures: int = 0

    async def messages(self, request: Request) -> JSONResponse:
        """Take a message, or fail as the Cloud API fails."""
        assert request.headers["authorization"] == "Bearer graph-token"
        if self.failures:
            self.failures -= 1
            error = {"message": "Try again", "type": "OAuthException", "code": 131016, "fbtrace_id": "x"}
            return JSONResponse({"error": error}, 500)
        body = await request.json()
        self.sent.append(body)
        who = body.get("to") or body.get("recipient")
        contact = {"input": who, "wa_id": body.get("to"), "user_id": body.get("recipient")}
        answer = {"messaging_product": "whatsapp", "contacts": [contact]}
        return JSONResponse({**answer, "messages": [{"id": f"wamid.out{len(self.sent)}"}]})

    async def until(self, count: int) -> list[dict[str, Any]]:
        """What was sent, when there is so much of it."""
        async with asyncio.timeout(30):
            while len(self.sent) < count:  # noqa: ASYNC110 - it is HTTP
                await asyncio.sleep(0.02)
        return self.sent


@pytest.fixture
async def graph() -> Graph:
    """Nothing was sent yet."""
    return Graph()


Start = Callable[[], Any]


@pytest.fixture
async def start(service: Service, graph: Graph, tmp_path: Path) -> AsyncIterator[Start]:
    """Start the gateway; each start has the same inbox."""
    app = Starlette(routes=[Route("/v25.0/1122334455667/messages", graph.messages, methods=["POST"])])
    async with served(app) as graph_url:
        environment = {
            "WHATSAPP_PHONE_ID": "1122334455667",
            "WHATSAPP_TOKEN": "graph-token",
            "WHATSAPP_APP_SECRET": SECRET,
            "WHATSAPP_VERIFY_TOKEN": "verify-me",
            "GRAPH_URL": f"{graph_url}/v25.0",
            "CONVO_URL": service.url,
            "CONVO_KEY": service.key,
        }

        @asynccontextmanager
        async def begin() -> AsyncIterator[httpx.AsyncClient]:
            port = free_port()
            async with (
                running(tmp_path, SCRIPT, str(port), **environment) as process,
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http,
            ):
                await _ready(http)
                http.headers["x-pid"] = str(process.process.pid)
                yield http
            for secret in ("graph-token", SECRET, service.key, PHONE, BSUID, "farina"):
                assert secret not in process.said
            assert "Traceback" not in process.said

        yield begin


async def _ready(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await http.get("/webhook")
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
            else:
                return


async def post(http: httpx.AsyncClient, body: bytes) -> float:
    """Deliver a webhook that has to be acknowledged; how long that took."""
    before = time.monotonic()
    answer = await http.post("/webhook", content=body, headers=signed(body))
    assert (answer.status_code, answer.text) == (200, "ok")
    return time.monotonic() - before


async def test_a_message(start: Start, graph: Graph, emulator: Emulator) -> None:
    """A webhook is acknowledged before anybody is asked, and answered to the person's business-scoped id."""
    emulator.reply_next("Certo, abbiamo la farina.")
    emulator.fail_next(RESPONSES, delay=2)
    async with start() as http:
        assert await post(http, webhook(message("wamid.1", "Avete la farina?"))) < 1
        assert graph.sent == []
        (sent,) = await graph.until(1)
    assert (sent["recipient"], sent["text"]["body"]) == (BSUID, "Certo, abbiamo la farina.")


async def test_a_person_without_a_number(start: Start, graph: Graph) -> None:
    """Whoever hides the number behind a username is answered like anybody."""
    who = (NOBODYS_PHONE, HIDDEN)
    async with start() as http:
        await post(http, webhook(message("wamid.1", "Avete la farina?", *who), contacts=[contact(*who)]))
        (sent,) = await graph.until(1)
    assert (sent["recipient"], sent.get("to")) == (HIDDEN, None)


async def test_a_burst_and_its_repeats(start: Start, graph: Graph, emulator: Emulator) -> None:
    """Five messages at once get five replies in their order, however often the webhooks come again."""
    for number in range(5):
        emulator.reply_next(f"risposta {number}")
    async with start() as http:
        bodies = [webhook(message(f"wamid.{number}", f"domanda {number}")) for number in range(5)]
        for body in bodies:
            await post(http, body)
        await asyncio.gather(*(post(http, body) for body in bodies))
        sent = await graph.until(5)
        for body in bodies:
            await post(http, body)
        await asyncio.sleep(0.5)
    assert [one["text"]["body"] for one in sent] == [f"risposta {number}" for number in range(5)]
    assert emulator.calls[RESPONSES] == 5


async def test_several_in_one_webhook(start: Start, graph: Graph) -> None:
    """A webhook may bring several messages, of several people: each is answered, to the right one."""
    body = webhook(
        message("wamid.1", "Avete la farina?"),
        message("wamid.2", "E il lievito?", NOBODYS_PHONE, HIDDEN),
        message("wamid.3", "E lo zucchero?"),
        contacts=[contact(), contact(NOBODYS_PHONE, HIDDEN)],
    )
    async with start() as http:
        await post(http, body)
        sent = await graph.until(3)
    assert sorted(one["recipient"] for one in sent) == [BSUID, BSUID, HIDDEN]


async def test_a_crash(start: Start, graph: Graph, emulator: Emulator) -> None:
    """Killed between the acknowledgement and the reply, it answers after the next start, having asked once."""
    emulator.fail_next(RESPONSES, delay=1)
    async with start() as http:
        await post(http, webhook(message("wamid.1", "Avete la farina?")))
        async with asyncio.timeout(10):
            while not emulator.calls[RESPONSES]:  # noqa: ASYNC110 - it is HTTP
                await asyncio.sleep(0.01)
    assert graph.sent == []
    async with start():
        await graph.until(1)
        await asyncio.sleep(0.3)
    assert (len(graph.sent), emulator.calls[RESPONSES]) == (1, 1)


async def test_whatsapp_fails(start: Start, graph: Graph, emulator: Emulator) -> None:
    """A reply that could not be sent is sent later, and it is the same reply."""
    emulator.reply_next("Certo, abbiamo la farina.")
    graph.failures = 2
    async with start() as http:
        await post(http, webhook(message("wamid.1", "Avete la farina?")))
        (sent,) = await graph.until(1)
    assert (sent["text"]["body"], emulator.calls[RESPONSES]) == ("Certo, abbiamo la farina.", 1)


async def test_what_is_no_message(start: Start, graph: Graph, emulator: Emulator) -> None:
    """Stickers, revocations and statuses are acknowledged, and nobody is asked anything."""
    bare = {"from": PHONE, "timestamp": "1772442000"}
    sticker = {**bare, "id": "wamid.1", "type": "sticker", "sticker": {"id": "1", "mime_type": "image/webp"}}
    revoke = {**bare, "id": "wamid.2", "type": "revoke", "revoke": {"original_message_id": "wamid.0"}}
    image = {**bare, "id": "wamid.3", "type": "image", "image": {"id": "1", "sha256": "x", "mime_type": "image/jpeg"}}
    async with start() as http:
        await post(http, webhook(sticker, revoke, image))
        await post(http, json.dumps({"object": "whatsapp_business_account", "entry": []}).encode())
        await asyncio.sleep(0.3)
    assert (graph.sent, emulator.calls[RESPONSES]) == ([], 0)


async def test_a_caption(start: Start, graph: Graph) -> None:
    """The words under a picture are a message."""
    image = {"id": "1", "sha256": "x", "mime_type": "image/jpeg", "caption": "È questa la farina?"}
    body = {"from": PHONE, "id": "wamid.1", "timestamp": "1772442000", "type": "image", "image": image}
    async with start() as http:
        await post(http, webhook(body))
        (sent,) = await graph.until(1)
    assert "È questa la farina?" in sent["text"]["body"]  # the emulator repeats what it was asked


async def test_strangers(start: Start, graph: Graph, emulator: Emulator) -> None:
    """What Meta did not sign is refused, and Meta's question is answered with its challenge."""
    body = webhook(message("wamid.1", "Avete la farina?"))
    asked = {"hub.mode": "subscribe", "hub.challenge": "42"}
    async with start() as http:
        assert (await http.post("/webhook", content=body)).status_code == 401
        assert (await http.post("/webhook", content=body, headers=signed(body, "other"))).status_code == 403
        right = await http.get("/webhook", params={**asked, "hub.verify_token": "verify-me"})
        assert (right.status_code, right.text) == (200, "42")
        assert (await http.get("/webhook", params={**asked, "hub.verify_token": "x"})).status_code == 403
        await asyncio.sleep(0.2)
    assert (graph.sent, emulator.calls[RESPONSES]) == ([], 0)
