"""Commands that a user can write: `/new` as the first word of a message, and its synonyms."""

import re
import unicodedata
from collections.abc import Collection

# WhatsApp's clients put these into texts; none of them can be seen.
_INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
REPLIES = {
    "it": "Va bene, ricominciamo da capo. Come posso aiutarti?",
    "en": "All right, let us start afresh. How can I help you?",
}
_FIRST_WORD = re.compile(rf"[\s{_INVISIBLE}]*(\S+)[\s{_INVISIBLE}]*")


def command_length(text: str, commands: Collection[str]) -> int:
    """Return how many leading characters of `text` are a reset command: 0 when it is an ordinary text.

    What stands behind them, `text[length:]`, is what was said; for a command alone that is the empty string.
    `commands` are in lower case.
    """
    match = _FIRST_WORD.match(text)
    if match is None or _folded(match[1]) not in commands:
        return 0
    return match.end()


def _folded(word: str) -> str:
    return re.sub(f"[{_INVISIBLE}]", "", unicodedata.normalize("NFKC", word)).casefold()
