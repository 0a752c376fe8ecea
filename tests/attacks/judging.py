"""What reached OpenAI, judged without any code of the service: its form, and whose words stand in it."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

Json = dict[str, Any]

PREAMBLE_SHA256 = "73014af130cec0e508222574f9cbc997f12b7aac8c8c619277171923f5983dad"
MAX_CHARS = 3000
MAX_STATEMENT_CHARS = 162  # 160, of which the last may be an ellipsis, which stands in the record as three stops
MAX_MARKS = 31  # on one letter: what UAX #15 calls safe, and the letter's own
TOPICS = "Argomenti recenti"
BY_MODEL = ("Questioni aperte", "Preferenze")  # nobody else writes notes here
LISTS = (TOPICS, *BY_MODEL, "Note")
LINE = re.compile(
    rf'(?P<client>Cliente): (?P<one>".*")|(?P<list>{"|".join(LISTS)}): (?P<many>\[.*\])|(?P<said>Detto in precedenza):'
    r'| (?P<day>\d{4}-\d\d-\d\d):|  - (?P<side>cliente|assistente|sintesi|operatore): (?P<text>".*")'
)
SHOWN = ({"n", "customer"}, {"n", "assistant"}, {"at"}, {"earlier", "text"}, {"note", "about", "text"})
_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}
_FILLERS = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_MANY_MARKS = re.compile(rf"[\u0300-\u036f]{{{MAX_MARKS + 1},}}")
_NAMES = re.compile(r"(?<=[^\W\d_] )([A-Z][a-zà-ù]{2,} [A-Z][a-zà-ù]{2,})")  # two capitals inside a sentence


@dataclass(frozen=True, slots=True)
class Customer:
    """What is true of a user: the profile as it was put, the messages, and what a model's statements cite."""

    profile: str
    messages: Mapping[str, tuple[str, str]]  # by id: direction, text
    statements: Sequence[tuple[str, tuple[str, ...]]] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A value of the record and the key or side that it stands behind."""

    key: str
    text: str


def violations(items: Sequence[Json], customer: Customer) -> list[str]:
    """What is wrong with the items of a conversation that was seeded and nothing else; each as one word and a place."""
    if [(item["type"], item["role"], len(item["content"])) for item in items] != [
        ("message", "developer", 1),
        ("message", "user", 1),
    ]:
        return ["other items than the two of a seed"]
    constant, record = (item["content"][0]["text"] for item in items)
    found = [] if hashlib.sha256(constant.encode()).hexdigest() == PREAMBLE_SHA256 else ["another constant"]
    return [*found, *_of_text(record), *_of_record(record, customer)]


def request_violations(request: Json, instructions: str) -> list[str]:
    """What is wrong with the question that a summary is asked with."""
    roles = [item["role"] for item in request["input"]]
    found = [] if request["instructions"] == instructions else ["instructions that are not constant"]
    if roles != ["user"] or "conversation" in request or request.get("store") is not False:
        return [*found, "a question that is not one user item"]
    shown = json.loads(request["input"][0]["content"])
    return found + [f"an entry {one}" for one in shown if set(one) not in SHOWN]


@cache
def is_hidden(char: str) -> bool:
    """Whether a reader does not see it: controls, formats, half pairs, what is no character, fillers, selectors."""
    return unicodedata.category(char) in _HIDDEN or _FILLERS.match(char) is not None


@cache
def _is_between(char: str) -> bool:
    """Whether two writings of the same may differ by it."""
    return unicodedata.category(char).startswith(("M", "Z", "C"))


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Without case, accents, blanks and what nobody sees: what two writings of the same have in common."""
    seen = "".join([char for char in text if not is_hidden(char)])
    parts = unicodedata.normalize("NFKD", _MANY_MARKS.sub("", seen)).casefold()
    return "".join([char for char in parts if not _is_between(char)])


def _of_text(record: str) -> Iterator[str]:
    if len(record) > MAX_CHARS:
        yield "longer than a seed may be"
    if concealed := {ascii(char) for char in record if char != "\n" and is_hidden(char)}:
        yield f"hidden characters {sorted(concealed)}"
    if record.splitlines() != record.split("\n"):
        yield "a line break of another kind"
    if _MANY_MARKS.search(unicodedata.normalize("NFD", record)):
        yield "marks without end"


def _of_record(record: str, customer: Customer) -> Iterator[str]:
    try:
        lines = list(_lines(record))
    except ValueError as error:
        yield f"no record: {error}"
        return
    profile = [line.text for line in lines if line.key == "Cliente"]
    if profile != ([customer.profile] if customer.profile else []):
        yield "a verified part that is not the profile"
    yield from (f"{why}: {line}" for line in lines if (why := _wrong(line, customer)))


def _lines(record: str) -> Iterator[Line]:
    """Each value of the record; ValueError where a line is none of the documented ones, or out of its order."""
    place, order = -1, ["Cliente", *LISTS, "Detto in precedenza"]
    for line in record.split("\n"):
        found = LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"the line {line[:60]!r}")
        key = found["client"] or found["list"] or found["said"]
        if key:
            if order.index(key) <= place:
                raise ValueError(f"{key} again, or too late")
            place = order.index(key)
        elif place < len(LISTS) + 1:
            raise ValueError("a line of talk where there is none")
        if found["one"] or found["text"]:
            yield Line(key or found["side"], _string(json.loads(found["one"] or found["text"])))
        elif found["many"]:
            yield from (Line(key, _string(one)) for one in json.loads(found["many"]))


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"no text: {value!r:.60}")
    return value


def _wrong(line: Line, customer: Customer) -> str | None:
    """What is wrong with where a value comes from."""
    if line.key == "Cliente":
        return None
    cited = [ids for text, ids in customer.statements if plain(text) == plain(line.text)]
    if line.key in ("sintesi", *BY_MODEL) or (line.key == TOPICS and cited):
        stands = cited and all(_may_stand(line.text, ids, customer) for ids in cited)
        return None if stands else "a model's word"
    sides = {"cliente": ("inbound",), "assistente": ("outbound",), TOPICS: ("inbound", "outbound")}.get(line.key, ())
    texts = [plain(text) for direction, text in customer.messages.values() if direction in sides]
    return None if any(_is_of(line.text, text) for text in texts) else "nobody's word"


def _may_stand(statement: str, ids: Sequence[str], customer: Customer) -> bool:
    """Whether it cites this user's messages, and has every number and name from them."""
    if not ids or not customer.messages.keys() >= {*ids} or len(statement) > MAX_STATEMENT_CHARS:
        return False
    cited = plain(" ".join(customer.messages[one][1] for one in ids))
    told = unicodedata.normalize("NFKC", statement)
    values = [*re.findall(r"[^\W_]*\d[^\W_]*", told), *_NAMES.findall(told)]
    return all(plain(value) in cited or plain(value) in plain(customer.profile) for value in values)


def _is_of(told: str, said: str) -> bool:
    """Whether every word stands in what was said."""
    return all(plain(word) in said for word in re.findall(r"\w+", told))
