"""Where the words that somebody looked for stand in a message."""

import re
import unicodedata

MOST_CHARS = 260
BEFORE = 80  # characters that stand before the first word that was found

Part = tuple[str, bool]


def marked(text: str, q: str) -> list[Part]:
    """A message in parts, those that are beginnings of wanted words marked; of a long one the stretch around them."""
    plain = _folded(text)
    words = [word for word in re.split(r"\W+", _folded(q)) if word]
    found = list(re.finditer("|".join(rf"\b{re.escape(word)}" for word in words), plain)) if words else []
    start = max(found[0].start() - BEFORE, 0) if found and len(text) > MOST_CHARS else 0
    end = min(start + MOST_CHARS, len(text))
    parts: list[Part] = [("…", False)] if start else []
    place = start
    for one in found:
        if one.start() < place or one.end() > end:
            continue
        parts += [(text[place : one.start()], False), (text[one.start() : one.end()], True)]
        place = one.end()
    parts.append((text[place:end] + ("…" if end < len(text) else ""), False))
    return [(part, is_found) for part, is_found in parts if part]


def _folded(text: str) -> str:
    """Without accents and capitals, character by character, so that places stay what they are."""
    return "".join(_fold(char) for char in text)


def _fold(char: str) -> str:
    bare = unicodedata.normalize("NFD", char)[0].lower()
    return bare if len(bare) == 1 else char
