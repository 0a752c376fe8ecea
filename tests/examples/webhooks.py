"""Webhooks as WhatsApp's Cloud API sends them, with and without a phone number, and signed."""

import hashlib
import hmac
import json
from typing import Any

SECRET = "app-secret"
PHONE, BSUID = "393331234567", "IT.13491208655302741918"
NOBODYS_PHONE, HIDDEN = "", "IT.99991208655302741918"


def contact(phone: str = PHONE, bsuid: str = BSUID) -> dict[str, Any]:
    """A person, as the Cloud API describes her; with a username she has no number."""
    profile = {"name": "Maria"} if phone else {"name": "Maria", "username": "maria"}
    return {"profile": profile, "user_id": bsuid, **({"wa_id": phone} if phone else {})}


def message(id: str, text: str, phone: str = PHONE, bsuid: str = BSUID) -> dict[str, Any]:
    """A text message, as the Cloud API sends it."""
    who = {"from": phone} if phone else {}
    return {**who, "from_user_id": bsuid, "id": id, "timestamp": "1772442000", "type": "text", "text": {"body": text}}


def webhook(*messages: dict[str, Any], contacts: list[dict[str, Any]] | None = None) -> bytes:
    """A webhook with messages."""
    metadata = {"display_phone_number": "390612345", "phone_number_id": "1122334455667"}
    value = {"messaging_product": "whatsapp", "metadata": metadata, "contacts": contacts or [contact()]}
    change = {"value": {**value, "messages": list(messages)}, "field": "messages"}
    entry = {"id": "102290129340398", "changes": [change]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """As Meta signs it."""
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}
