"""Identities of a user: phone numbers, business-scoped ids of WhatsApp (BSUID), and whatever else a gateway has."""

import re
from dataclasses import dataclass
from typing import Literal

from convo_service.domain.text import clean
from convo_service.errors import InvalidIdentity

MAX_CHARS = 128
USER_ID = re.compile(r"usr_[0-9a-z]{26}")
_PHONE = re.compile(r"(?:\+|00)?([0-9](?:[ -]*[0-9]){6,14})")
_BSUID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9]+")

Kind = Literal["phone", "bsuid", "opaque"]


@dataclass(frozen=True, slots=True)
class Identity:
    """A normalised identity: equal values are the same person."""

    value: str
    kind: Kind


def normalise(raw: str) -> Identity:
    """Bring an identity into the form it is stored in.

    Seven to fifteen digits are a phone number, stored as `+digits`, without a check against number plans, which
    real WhatsApp ids of Brazil and Mexico fail. Raises InvalidIdentity for what nobody could see or type.
    """
    text = raw.strip()
    if phone := _PHONE.fullmatch(text):
        return Identity("+" + re.sub(r"[ -]", "", phone[1]), "phone")
    if not 1 <= len(text) <= MAX_CHARS or not text.isprintable() or not clean(text) or text.startswith("usr_"):
        raise InvalidIdentity
    return Identity(text, "bsuid" if _BSUID.fullmatch(text) else "opaque")
