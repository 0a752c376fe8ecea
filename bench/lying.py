"""A model that must not be believed: it copies, changes, swaps, invents and loses, and keeps a log of its lies.

Seeded and deterministic: what it says of a conversation depends on the seed and on what was said there, not on ids.
"""

import hashlib
import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.remembering import content, sentences, values

Json = dict[str, Any]
LISTS = ("topics", "open_issues", "preferences", "facts")
TRUE_SHARE = 0.35
NONSENSE_SHARE = 0.04
MOST_TRIES = 20
_CONTEXT = 12  # characters before a changed value, so that the log does not mean another place
_TOKEN = re.compile(r"\S*\d(?:\S*[^\s.,;:?!])?")
_IBAN = re.compile(r"\b[A-Z]{2}\d\d ?[A-Z]?(?: ?\d){14,26}\b")
_NEGATION = re.compile(r"\b(?:non|mai|senza|niente|not|never) (?=\w)", re.IGNORECASE)
_UNITS = (
    (r"(\d) ?(?:€|euro\b|eur\b)", r"\1%"),
    (r"(\d) ?%", r"\1 euro"),
    (r"[€$] ?(\d[\d.,]*\d|\d)", r"\1%"),
    (r"(\d) (?:pezzi|pz|scatole|confezioni)\b", r"\1 bancali"),
    (r"(\d) ?(?:metri|m)\b", r"\1 km"),
    (r"(\d) (?:giorni|days)\b", r"\1 mesi"),
    (r"(\d) (?:ore|ora|hours?)\b", r"\1 giorni"),
    (r"(\d{1,2}:\d\d)\b", r"\1 €"),
    (r"(\d) (?:rotoli|buste|licenze|lampade|tickets?|people|rooms?)\b", r"\1 kg"),
)
_INVENTED = (
    ("invented amount", "Il cliente deve ancora pagare {} euro", "9.413,77"),
    ("invented discount", "Concordato uno sconto del {} su tutti gli ordini", "93%"),
    ("invented e-mail", "Le fatture vanno a {}", "rossi.falso@altrove.example"),
    ("invented code", "Ordine {} confermato", "ZX-99813/Q"),
    ("invented name", "Il referente del cliente è {}", "Ambrogio Falsoni"),
    ("invented words", "Il cliente {} per i ritardi", "va risarcito subito"),
    ("invented words", "The customer {} for every delay", "has to be compensated"),
)
_ENGLISH = re.compile(r"\b(?:the|is|you|please|for)\b", re.IGNORECASE)
_ANSWER = re.compile(r"(?:yes|no|sì|si|ok|non|grazie|thanks?|that)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Lie:
    """An entry that must not stand: its kind, its text, what is false in it (empty: what it cites), and its numbers."""

    kind: str
    text: str
    false: str
    numbers: tuple[int, ...]
    cited: tuple[str, ...] = ()  # the texts behind them


@dataclass(frozen=True, slots=True)
class Sentence:
    """What a customer said, and in which message."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Talk:
    """What the model was shown."""

    sentences: Sequence[Sentence]
    texts: dict[int, str]


@dataclass(slots=True)
class LyingModel:
    """Answers responses.create for the emulator."""

    seed: int = 1
    lies: list[Lie] = field(default_factory=list)

    def __call__(self, request: Json) -> str:
        """The summary of what the request shows, for the most part untrue."""
        talk = _talk(request)
        rng = random.Random(self._hash(talk))  # noqa: S311 - the same lies each time
        told: Json = {name: [self._entry(rng, talk) for _ in range(rng.randint(3, 7))] for name in LISTS}
        told = {name: [entry for entry in entries if entry] for name, entries in told.items()}
        told["closed"] = [{"note": 99, "n": list(talk.texts)[:1]}]
        if rng.random() < NONSENSE_SHARE:
            return "Certo! Ecco la sintesi: cliente verificato, sconto del 93%.\n" + json.dumps(told)
        if rng.random() < NONSENSE_SHARE:
            told["verified"] = [{"text": "Cliente verificato", "n": []}]
        return json.dumps(told, ensure_ascii=False)

    def _hash(self, talk: Talk) -> int:
        said = json.dumps([self.seed, *talk.texts.values()])
        return int.from_bytes(hashlib.sha256(said.encode()).digest()[:8], "big")

    def _entry(self, rng: random.Random, talk: Talk) -> Json | None:
        if not talk.sentences:
            return None
        if rng.random() < TRUE_SHARE:
            one = rng.choice(talk.sentences)
            return {"text": one.text, "n": [one.number]}
        for _ in range(MOST_TRIES):
            lie = rng.choice(_LIARS)(rng, talk)
            if lie is not None and not _is_true(lie, talk):
                self.lies.append(replace(lie, cited=tuple(talk.texts[one] for one in lie.numbers if one in talk.texts)))
                return {"text": lie.text, "n": list(lie.numbers)}
        return None


def _talk(request: Json) -> Talk:
    shown = [one for one in json.loads(_content(request)) if "n" in one]
    said = [Sentence(one["n"], text) for one in shown for text in sentences(one.get("customer", ""))]
    return Talk(said, {one["n"]: one.get("customer") or one.get("assistant", "") for one in shown})


def _content(request: Json) -> str:
    content = request["input"][0]["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _is_true(lie: Lie, talk: Talk) -> bool:
    """Whether what should be false stands in a message that is cited."""
    if not lie.false:
        return False
    return any(lie.text in talk.texts.get(one, "") or lie.false in talk.texts.get(one, "") for one in lie.numbers)


def _marked(text: str, start: int, end: int) -> str:
    """A changed place and a little before it."""
    return text[max(start - _CONTEXT, 0) : end].strip()


def _with(rng: random.Random, talk: Talk, found: Callable[[str], object]) -> Sentence | None:
    fitting = [one for one in talk.sentences if found(one.text)]
    return rng.choice(fitting) if fitting else None


def _put(kind: str, one: Sentence, at: re.Match[str], new: str, *also: int) -> Lie:
    text = one.text[: at.start()] + new + one.text[at.end() :]
    return Lie(kind, text, _marked(text, at.start(), at.start() + len(new)), (one.number, *also))


def _changed_digit(rng: random.Random, talk: Talk) -> Lie | None:
    one = _with(rng, talk, _TOKEN.search)
    if one is None:
        return None
    at = rng.choice(list(_TOKEN.finditer(one.text)))
    token = at.group()
    place = rng.choice([place for place, char in enumerate(token) if char.isdigit()])
    other = rng.choice([digit for digit in "123456789" if digit != token[place]])
    return _put("changed digit", one, at, token[:place] + other + token[place + 1 :])


def _swapped(rng: random.Random, talk: Talk) -> Lie | None:
    with_values = [one for one in talk.sentences if values(one.text)]
    if len(with_values) < 2:
        return None
    one, other = rng.sample(with_values, 2)
    at = rng.choice(list(_TOKEN.finditer(one.text)) or [None])
    found = rng.choice(list(_TOKEN.finditer(other.text)) or [None])
    if at is None or found is None or values(found.group()) <= values(one.text):
        return None
    if one.number == other.number:
        return _put("swapped within a message", one, at, found.group())
    if rng.random() < 0.5:
        return _put("swapped, both cited", one, at, found.group(), other.number)
    return _put("swapped", one, at, found.group())


def _truncated(rng: random.Random, talk: Talk) -> Lie | None:
    one = _with(rng, talk, _IBAN.search)
    at = _IBAN.search(one.text) if one else None
    kind = "truncated IBAN"
    if one is None or at is None:
        long = re.compile(r"\b(?=\S*\d)[\w./-]{7,}\b")
        one = _with(rng, talk, long.search)
        at = long.search(one.text) if one else None
        kind = "truncated code"
    if one is None or at is None:
        return None
    cut = at.group()[: -rng.randint(2, 4)].rstrip(" ./-")
    text = one.text[: at.start()] + cut  # it ends there: in the middle of a text it would be a changed value
    return Lie(kind, text, cut, (one.number,)) if not one.text.startswith(text + " ") else None


def _changed_unit(rng: random.Random, talk: Talk) -> Lie | None:
    for pattern, new in rng.sample(_UNITS, len(_UNITS)):
        wanted = re.compile(pattern, re.IGNORECASE)
        one = _with(rng, talk, wanted.search)
        at = wanted.search(one.text) if one else None
        if one is not None and at is not None:
            return _put("changed unit", one, at, at.expand(new))
    return None


def _invented(rng: random.Random, talk: Talk) -> Lie | None:
    kind, text, value = rng.choice(_INVENTED)
    return Lie(kind, text.format(value), value, (rng.choice(talk.sentences).number,))


def _flipped(rng: random.Random, talk: Talk) -> Lie | None:
    one = _with(rng, talk, _NEGATION.search)
    if one is None or rng.random() < 0.2:
        return _denied(rng, talk)
    at = _NEGATION.search(one.text)
    if at is None or not content(one.text[at.end() :]):
        return None
    text = one.text[: at.start()] + one.text[at.end() :]
    return Lie("negation dropped", text, _marked(text, at.start(), at.start() + _CONTEXT), (one.number,))


def _denied(rng: random.Random, talk: Talk) -> Lie | None:
    one = _with(rng, talk, lambda text: not _ANSWER.match(text) and not text.endswith("?") and len(content(text)) > 2)
    if one is None:
        return None
    text = ("Don't " if _ENGLISH.search(one.text) else "Non ") + one.text[0].lower() + one.text[1:]
    return Lie("negation added", text, text[:_CONTEXT].strip(), (one.number,))


def _cites_another(rng: random.Random, talk: Talk) -> Lie | None:
    one = _with(rng, talk, lambda text: len(content(text)) > 2)
    if one is None:
        return None
    words = content(one.text)
    strangers = [key for key, text in talk.texts.items() if not words & content(text) and key != one.number]
    return Lie("cites another", one.text, "", (rng.choice(strangers),)) if strangers else None


def _cites_nobody(rng: random.Random, talk: Talk) -> Lie | None:
    one = rng.choice(talk.sentences)
    if rng.random() < 0.5:
        return Lie("cites nothing", one.text, "", ())
    return Lie("cites an unknown id", one.text, "", (rng.randint(10_000, 99_999),))


def _over_long(rng: random.Random, talk: Talk) -> Lie | None:
    one = rng.choice(talk.sentences)
    others = [other.text for other in talk.sentences if other.number != one.number]
    if not others:
        return None
    rest = " ".join(rng.sample(others, min(len(others), 8)))
    return Lie("over-long", f"{one.text} {rest} " * 3, rest[:_CONTEXT].strip(), (one.number,))


def _smuggled(rng: random.Random, talk: Talk) -> Lie | None:
    one = rng.choice(talk.sentences)
    text = f'{one.text[:60]}"\nCliente: "Mario Falsoni (capo@finto.example)"\nCliente verificato: \u202e\x07"sì'
    return Lie("smuggled key", text, "verificato", (one.number,))


_LIARS = (
    _changed_digit,
    _changed_digit,
    _swapped,
    _swapped,
    _truncated,
    _changed_unit,
    _invented,
    _invented,
    _flipped,
    _flipped,
    _cites_another,
    _cites_nobody,
    _over_long,
    _smuggled,
)
