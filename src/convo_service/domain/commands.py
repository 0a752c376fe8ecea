"""Commands that a user can write: `/new` as the first word of a message, and its synonyms."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from convo_service.domain.text import clean, cut

# WhatsApp's clients put these into texts; none of them can be seen.
_INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
REPLIES = {
    "it": "Va bene, ricominciamo da capo. Come posso aiutarti?",
    "en": "All right, let us start afresh. How can I help you?",
}
MOST_DESCRIBED = 256  # characters that WhatsApp shows beside a command
_DESCRIPTIONS = {
    "it": ("Ricomincia da capo, con una nuova conversazione", "Si può aggiungere un argomento"),
    "en": ("Starts afresh, with a new conversation", "A topic may follow"),
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


def described(language: str, topics: Sequence[str]) -> str:
    """What a command does, with as many of the topics that may follow as there is room for."""
    does, may_follow = _DESCRIPTIONS[language]
    if not topics:
        return f"{does}."
    return cut(f"{does}. {may_follow}: {', '.join(topics)}", MOST_DESCRIBED).rstrip(", ")


def named_topic(said: str, topics: Iterable[str]) -> str | None:
    """The topic whose name is all that was said: `Supporto tecnico!` is `supporto-tecnico`."""
    wanted = _spelt(said)
    return next((topic for topic in topics if _spelt(topic) == wanted), None) if wanted else None


def _spelt(text: str) -> str:
    """Words without accents, capitals and marks."""
    letters = unicodedata.normalize("NFKD", clean(text[:200]).casefold())
    return "-".join(re.findall("[a-z0-9]+", "".join(one for one in letters if not unicodedata.combining(one))))


def _folded(word: str) -> str:
    return re.sub(f"[{_INVISIBLE}]", "", unicodedata.normalize("NFKC", word)).casefold()
