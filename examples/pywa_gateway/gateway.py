"""A WhatsApp gateway: the Cloud API on one side, convo_service on the other, and an inbox between them."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from inbox import Inbox, Waiting
from pywa.errors import WhatsAppError
from pywa.types import RawUpdate
from pywa.utils import HUB_CH, HUB_SIG, HUB_VT
from pywa_async import WhatsApp
from pywa_async.types import Message

from convo_service.client import ConvoClient, Erased, Invalid, ProblemError
from convo_service.schemas import InboundMessage, NewTurn

KINDS = {"text", "image", "video", "document"}  # what may hold words
LONGEST_TEXT = 4096  # of WhatsApp
PAUSES = (1, 2, 5, 15, 60, 300, 900)  # seconds between the tries of one message, beside the client's own patience
REFUSED_FOR_GOOD = {"reset_budget_spent"}  # nobody wants to wait an hour with a `/new`

log = logging.getLogger("gateway")


class Gateway:
    """Answers what is in the inbox: the messages of one sender one after the other, those of many side by side."""

    def __init__(self, whatsapp: WhatsApp, convo: ConvoClient, inbox: Inbox) -> None:
        self.whatsapp = whatsapp
        self.convo = convo
        self.inbox = inbox
        self._at_work: dict[str, asyncio.Task[None]] = {}

    async def take(self, body: bytes) -> None:
        """Write down what a webhook brings; once this returns nothing of it can be lost."""
        found = list(split(json.loads(body)))
        await asyncio.to_thread(self.inbox.add, found)
        for message in found:
            self.wake(message.sender)

    def wake(self, sender: str) -> None:
        """Have somebody work for this sender, unless somebody does."""
        if sender not in self._at_work:
            self._at_work[sender] = asyncio.create_task(self._work(sender))

    async def stop(self) -> None:
        """Leave; what is not answered waits in the inbox for the next start."""
        tasks = list(self._at_work.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, sender: str) -> None:
        try:
            while message := self.inbox.next_of(sender):
                await self._settle(message)
        finally:
            del self._at_work[sender]

    async def _settle(self, waiting: Waiting) -> None:
        """Try until it is answered, refused for good, or was tried for long enough."""
        for pause in PAUSES:
            try:
                await self._answer(waiting)
            except (ProblemError, httpx.HTTPError, WhatsAppError) as error:
                log.warning("message %s: %s", waiting.id, _described(error))
                if _is_final(error):
                    break
                await asyncio.sleep(pause)
            except Exception as error:  # one message that nobody foresaw must not hold up those behind it
                log.error("message %s: %s", waiting.id, type(error).__name__)
                self.inbox.set_aside(waiting)
                return
            else:
                break
        else:
            self.inbox.set_aside(waiting)
            return
        self.inbox.settle(waiting)

    async def _answer(self, waiting: Waiting) -> None:
        """One turn and its reply. Tried again it is the same turn: the service keeps the reply it once gave."""
        update = RawUpdate(waiting.webhook.encode(), hmac_header=None, update_hash=waiting.id)
        message = Message.from_update(self.whatsapp, update)
        text = message.text or message.caption
        if not text:
            return
        user = message.from_user
        phone = [f"+{user.wa_id}"] if user.wa_id else []
        asked = InboundMessage(id=message.id, text=text, sent_at=message.timestamp.astimezone())
        turn = await self.convo.turn(NewTurn(identity=user.bsuid or phone[0], aliases=phone, message=asked))
        if turn.reply:
            for piece in range(0, len(turn.reply.text), LONGEST_TEXT):
                await message.reply_text(turn.reply.text[piece : piece + LONGEST_TEXT])


def split(update: dict[str, Any]) -> Iterator[Waiting]:
    """Every message of a webhook as a webhook of its own: WhatsApp may put several into one, pywa reads the first."""
    for entry in update.get("entry", ()):
        for change in entry.get("changes", ()):
            value = change.get("value", {})
            for message in value.get("messages", ()) if change.get("field") == "messages" else ():
                if message.get("type") not in KINDS:
                    continue  # stickers, reactions, edits, revocations: this gateway answers words
                contact = _contact(message, value.get("contacts", ()))
                alone = {**value, "contacts": [contact], "messages": [message]}
                webhook = {**update, "entry": [{**entry, "changes": [{**change, "value": alone}]}]}
                yield Waiting(message["id"], contact["user_id"] or message["from"], json.dumps(webhook))


def _contact(message: dict[str, Any], contacts: list[dict[str, Any]]) -> dict[str, Any]:
    """Who wrote a message; a user with a username has no number, and webhooks of before have no BSUID."""
    phone, bsuid = message.get("from"), message.get("from_user_id")
    for contact in contacts:
        if (phone and contact.get("wa_id") == phone) or (bsuid and contact.get("user_id") == bsuid):
            return {"user_id": "", **contact}
    return {"user_id": "", "wa_id": phone, **(contacts[0] if len(contacts) == 1 else {})}


def _is_final(error: Exception) -> bool:
    """Whether the same message would be refused again."""
    if isinstance(error, ProblemError):
        return isinstance(error, Invalid | Erased) or error.code in REFUSED_FOR_GOOD
    return False


def _described(error: Exception) -> str:
    """What went wrong, without anything that a person wrote or is called."""
    if isinstance(error, ProblemError):
        return f"{error.status} {error.code}, request {error.problem.request_id}"
    code = getattr(error, "error_code", None)
    return type(error).__name__ + (f" {code}" if code else "")


def whatsapp() -> WhatsApp:
    """pywa, pointed at the Graph API, or at what a test puts in its place."""
    session = httpx.AsyncClient(timeout=20)
    client = WhatsApp(
        phone_id=os.environ["WHATSAPP_PHONE_ID"],
        token=os.environ["WHATSAPP_TOKEN"],
        app_secret=os.environ["WHATSAPP_APP_SECRET"],
        verify_token=os.environ["WHATSAPP_VERIFY_TOKEN"],
        session=session,
        server=None,
    )
    if url := os.environ.get("GRAPH_URL"):
        session.base_url = httpx.URL(url)  # after pywa has set its own
    return client


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Connect both sides, and go on with what a stop or a crash left behind."""
    inbox = Inbox(Path(os.environ.get("INBOX", "inbox.db")))
    url = os.environ.get("CONVO_URL", "http://127.0.0.1:8000")
    async with ConvoClient(url, os.environ["CONVO_KEY"]) as convo:
        gateway = app.state.gateway = Gateway(whatsapp(), convo, inbox)
        for sender in inbox.resume():
            gateway.wake(sender)
        yield
        await gateway.stop()


app = FastAPI(lifespan=lifespan, openapi_url=None)


@app.get("/webhook")
async def verify(request: Request) -> PlainTextResponse:
    """Meta asks once whether this is the right place."""
    query, gateway = request.query_params, request.app.state.gateway
    answer, status = await gateway.whatsapp.webhook_challenge_handler(query.get(HUB_VT), query.get(HUB_CH))
    return PlainTextResponse(answer, status)


@app.post("/webhook")
async def receive(request: Request) -> PlainTextResponse:
    """Acknowledge as soon as it is written down; nobody is asked anything before."""
    body, gateway = await request.body(), request.app.state.gateway
    if refused := await gateway.whatsapp.webhook_update_validator(body, request.headers.get(HUB_SIG)):
        return PlainTextResponse(*refused)
    await gateway.take(body)
    return PlainTextResponse("ok")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    uvicorn.run(app, port=int(sys.argv[1]) if len(sys.argv) > 1 else 8080, log_config=None, access_log=False)
