"""What Evolution API's webhook of its "Evolution Bot" says, in our words: who writes, and what."""

import re

_PERSONAL = ("s.whatsapp.net", "c.us")  # behind a number; others are a hidden user, a group, or a channel
# A medium comes as its kind, its id or address, and its caption; an advertisement that was answered after the text.
_MEDIUM = re.compile(r"(audio|image|video|document)(?:WithCaption)?Message\|[^|\n]*(?:\|(.*))?", re.DOTALL)
_ADVERTISEMENT = "externalAdReplyBody|"


def identity_of(jid: str) -> str:
    """The number behind a WhatsApp address, whichever device it is; an address without one is an identity as it is."""
    name, _, server = jid.partition("@")
    number = name.partition(":")[0]
    return f"+{number}" if server in _PERSONAL and number.isdecimal() and number.isascii() else jid


def text_of(query: str) -> str:
    """What was written; of a medium its kind and caption, because neither its id nor its address says anything."""
    query = query.replace(_ADVERTISEMENT, "")
    medium = _MEDIUM.fullmatch(query)
    return query if medium is None else f"[{medium[1]}] {medium[2] or ''}".strip()
