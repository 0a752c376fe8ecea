"""The n8n workflow: well-formed, without secrets, and its expressions and code really run, against the service."""

import json
import re
import shutil
import subprocess
from typing import Any

import httpx
import pytest

from tests.examples.conftest import EXAMPLES, Service
from tests.examples.webhooks import BSUID, HIDDEN, PHONE, contact, message, webhook

FILE = EXAMPLES / "n8n" / "workflow.json"
WORKFLOW: dict[str, Any] = json.loads(FILE.read_text())
NODES: dict[str, dict[str, Any]] = {node["name"]: node for node in WORKFLOW["nodes"]}
KNOWN = {
    "n8n-nodes-base.webhook": 2,
    "n8n-nodes-base.respondToWebhook": 1.1,
    "n8n-nodes-base.code": 2,
    "n8n-nodes-base.httpRequest": 4.2,
    "n8n-nodes-base.filter": 2.2,
}
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node is not installed, so the expressions cannot run")


def evaluated(expression: str, data: Any, items: list[Any] | None = None) -> Any:
    """What n8n makes of an expression, for the first item."""
    script = (
        "const [text, $json, items] = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        "const $ = () => ({ item: { json: (items ?? [])[0]?.json } });"
        "const $input = { first: () => ({ json: $json }) };"
        "const run = (code) => new Function('$json', '$', '$input', code)($json, $, $input);"
        "const parts = text.startsWith('=') ? text.slice(1).split(/({{.*?}})/s).filter(Boolean) : null;"
        "const value = parts === null ? run(text) : parts.length === 1 ? run('return ' + parts[0].slice(2, -2))"
        " : parts.map((one) => one.startsWith('{{') ? run('return ' + one.slice(2, -2)) : one).join('');"
        "console.log(JSON.stringify(value ?? null));"
    )
    assert NODE is not None
    given = json.dumps([expression, data, items])
    done = subprocess.run([NODE, "-e", script], input=given, capture_output=True, text=True, timeout=30)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def items_of(body: bytes) -> list[dict[str, Any]]:
    """What the code makes of a webhook."""
    found = evaluated(NODES["Each message"]["parameters"]["jsCode"], {"body": json.loads(body)})
    return list(found)


def test_it_can_be_imported() -> None:
    """It has what an import needs: known nodes of known versions, each once, and connections between them."""
    assert len(NODES) == len(WORKFLOW["nodes"]) == len({node["id"] for node in WORKFLOW["nodes"]})
    for node in WORKFLOW["nodes"]:
        assert KNOWN[node["type"]] == node["typeVersion"]
        assert len(node["position"]) == 2
    for origin, outputs in WORKFLOW["connections"].items():
        assert origin in NODES
        assert all(target["node"] in NODES for branch in outputs["main"] for target in branch)
    starts = {name for name, node in NODES.items() if node["type"].endswith(".webhook")}
    reached = {target["node"] for one in WORKFLOW["connections"].values() for target in one["main"][0]}
    assert starts | reached == set(NODES)


def test_no_secret_is_in_it() -> None:
    """Keys are credentials of the installation, named and never contained; nothing is active or pinned."""
    text = FILE.read_text()
    assert re.findall(r"csk_|EAA[A-Za-z0-9]{5}|sk-[A-Za-z0-9]|Bearer", text) == []
    assert (WORKFLOW["active"], WORKFLOW["pinData"]) == (False, {})
    for node in WORKFLOW["nodes"]:
        assert all(one["id"] == "" for one in node.get("credentials", {}).values())


def test_it_acknowledges_at_once_and_repeats() -> None:
    """The webhook is answered before anything is asked, and a turn that was not answered is asked again."""
    assert NODES["A message"]["parameters"]["responseMode"] == "onReceived"
    ask = NODES["Ask convo_service"]
    assert (ask["retryOnFail"], ask["maxTries"]) == (True, 5)
    assert ask["parameters"]["options"]["timeout"] >= 90_000


@needs_node
async def test_a_turn(service: Service) -> None:
    """What the workflow makes of a webhook is a turn that the service answers, and a message that WhatsApp takes."""
    items = items_of(webhook(message("wamid.1", "Avete la farina?")))
    ask, send = NODES["Ask convo_service"]["parameters"], NODES["Send the reply"]["parameters"]
    body = evaluated(ask["jsonBody"], items[0]["json"])
    headers = {"Authorization": f"Bearer {service.key}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(headers=headers) as http:
        answer = await http.post(f"{service.url}/turns", content=body)
    assert answer.status_code == 200, answer.text
    turn = answer.json()
    (condition,) = NODES["Is there a reply"]["parameters"]["conditions"]["conditions"]
    assert evaluated(condition["leftValue"], turn) is True
    assert evaluated(condition["leftValue"], turn | {"reply": None}) is False
    sent = json.loads(evaluated(send["jsonBody"], turn, items))
    assert (sent["recipient"], sent["text"]["body"]) == (BSUID, turn["reply"]["text"])
    assert evaluated(send["url"], turn, items).endswith("/1122334455667/messages")


@needs_node
def test_whose_message_it_is() -> None:
    """Several messages of one webhook stay apart; a person without a number is known by the business-scoped id."""
    body = webhook(
        message("wamid.1", "uno"),
        message("wamid.2", "due", "", HIDDEN),
        contacts=[contact(), contact("", HIDDEN)],
    )
    turns = [item["json"]["turn"] for item in items_of(body)]
    assert [(one["identity"], one["aliases"]) for one in turns] == [(BSUID, [f"+{PHONE}"]), (HIDDEN, [])]
    assert turns[0]["message"] == {"id": "wamid.1", "text": "uno", "sent_at": "2026-03-02T09:00:00.000Z"}


@needs_node
def test_what_is_no_message() -> None:
    """Statuses and stickers make no item."""
    sticker = {"from": PHONE, "id": "wamid.1", "timestamp": "1772442000", "type": "sticker", "sticker": {"id": "1"}}
    assert items_of(webhook(sticker)) == []
    status = {"field": "messages", "value": {"statuses": [{"id": "wamid.1", "status": "read"}]}}
    assert items_of(json.dumps({"entry": [{"changes": [status]}]}).encode()) == []


@needs_node
def test_the_challenge() -> None:
    """Meta's question is answered when it knows the word."""
    text = NODES["Answer the challenge"]["parameters"]["responseBody"]
    right = {"hub.verify_token": "choose-a-verify-token", "hub.challenge": "42"}
    assert evaluated(text, {"query": right}) == "42"
    assert evaluated(text, {"query": right | {"hub.verify_token": "x"}}) == "no"
