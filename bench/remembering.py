"""How much of a dialogue stands in a seed: a second reading of values, names and words, without the service's code.

What counts as a number, an amount, a code or a name is said here once more, from the contract's sentences and from
what people write. It imports nothing of ours and must not: a judge that shares the service's rules is as blind as it.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

CHARS_PER_TOKEN = 4
MARK_CHARS = 150
LINE_TOKENS = 4  # what a line costs beside its text, when it is asked whether all values fit
SHARE_OF_PHRASE = 0.6
STEM_CHARS = 6
KEYWORDS, KEYWORD_MESSAGES = 10, 20
PAUSE = timedelta(minutes=1)

_N = r"\d+(?:[.,']\d+)*"
_SIGNS = {"€": "eur", "euro": "eur", "eur": "eur", "$": "usd", "usd": "usd", "dollars": "usd", "dollar": "usd"}
_SIGNS |= {"£": "gbp", "%": "%", "per cento": "%", "percento": "%", "percent": "%", "am": "am", "a.m.": "am"}
_SIGNS |= {"pm": "pm", "p.m.": "pm"}
_VALUE = re.compile(
    rf"""(?<!\w)(?:
      (?P<mail>[\w.+-]+@\w[\w-]*(?:\.\w[\w-]*)+)
    | (?P<spaced>it\d\d[ ]?[a-z](?:[ ]?\d){{22}}(?!\w)      # an Italian IBAN, whole
                |it\d\d[ ][a-z]\d{{3}}(?:[ ]\d{{1,4}})+(?!\w)      # or what is left of one
                |[a-z]{{2}}\d\d(?:[ ]\d{{4}}){{3,6}}(?:[ ]\d{{1,3}})?(?!\w)
                |(?:\+|00)\d{{2}}[ .-]?\d{{3}}[ .-]?\d{{3}}[ .-]?\d{{3,4}}(?!\w)
                |3\d\d[ .-]\d{{3}}[ .-]?\d{{3,4}}(?!\w))
    | (?P<before>[€$£])[ ]?(?P<amount>{_N})(?!\w)
    | (?P<number>{_N}(?::\d\d)?)[ ]?(?P<after>€|%|\$|£|[ap]\.m\.
                |(?:euro|eur|usd|dollars?|per[ ]?cento|percent|[ap]m)(?!\w))
    | (?P<code>[^\W_]+(?:[-/_][^\W_]+|(?<=\d)[.,:'](?=\d)[^\W_]+)*)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_LETTERS = re.compile(r"[^\W\d_]+")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
_NEGATION = re.compile(r"\b(?:non|mai|senza|niente|nessun\w*|no|né|not|never|without|none)\b|n't\b", re.IGNORECASE)
_STOP_WORDS = """
    a ad ai al alla alle allo agli anche ancora anzi appena avete avere aveva abbiamo ha hai hanno ho bene buon
    buona buongiorno buonasera buondi salve ciao grazie prego scusi scusa scusate certo perfetto ottimo che chi
    ci cioe come con cosa cosi così cui da dal dalla dalle dai dei del della delle dello degli di dove due e ed
    era erano essere fa fare fatto fino già gia giorno gli i il in io la le lei lo loro lui ma me mi mia mio ne
    nel nella nelle noi non nostro nostra o ok oppure ora per perche perché pero però piu più poi posso può puo
    puoi qua quale quando quanto quante quello quella questo questa qui se sei serve servono si sì sia sono sta
    stato su sua sul sulla suo te ti tra tutto tutti un una uno va vi voi vorrei vorremmo vostro volta solo
    sempre mai senza niente altro altra allora adesso the and for are you that this with have has had not was
    were will would can could should from your our they them what when where which who how there here his her
    its about any some all also just please thanks thank yes yeah like want need sure okay great good hello bye
    get got does did been being more then than too very let know i'm i'd i'll don't it's that's
"""
STOP = frozenset(_STOP_WORDS.split())
_TOP = re.compile(
    "(?P<label>Cliente|Client|Argomenti recenti|Recent topics|Questioni aperte|Open issues|Preferenze|Preferences"
    "|Note|Notes): (?P<quoted>.+)"
)
_KEYWORD = re.compile(r"\w{4,}")
_HEADING = re.compile("(?:Detto in precedenza|Said earlier):")
_DAY = re.compile(r" (\d{4}-\d\d-\d\d):")
_SAID = re.compile(r"  - (?:cliente|assistente|sintesi|operatore|client|assistant|summary|operator): (?P<quoted>.+)")


class Unreadable(ValueError):
    """A file that holds no dialogues."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a dialogue."""

    by_client: bool
    text: str
    sent_at: datetime


@dataclass(slots=True)
class Dialogue:
    """What was said, and what a good memory keeps of it where somebody wrote that down."""

    name: str
    messages: list[Message] = field(default_factory=list)
    expect: dict[str, list[str]] = field(default_factory=dict)

    @property
    def said_by_client(self) -> list[str]:
        """The client's messages."""
        return [one.text for one in self.messages if one.by_client]


@dataclass(frozen=True, slots=True)
class Record:
    """A seed as a reader sees it: its texts without labels, and what stands there that is no part of its form."""

    pieces: tuple[str, ...]
    broken: tuple[str, ...] = ()
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Score:
    """Shares from 0 to 1, None where there is nothing to keep; `all_kept` None where the values do not fit."""

    values: float | None
    words: float | None
    all_kept: bool | None
    expected: Mapping[str, float | None]
    invented: tuple[str, ...]
    broken: tuple[str, ...]
    tokens: int


def dialogues(rows: Iterable[str], limit: int | None = None) -> list[Dialogue]:
    """The dialogues of a file, in the order in which they begin."""
    found: dict[str, Dialogue] = {}
    for number, row in enumerate(rows, 1):
        try:
            raw = json.loads(row)
            message = Message(raw["direction"] == "inbound", raw["text"], datetime.fromisoformat(raw["sent_at"]))
            one = found.setdefault(raw["dialogue"], Dialogue(raw["dialogue"]))
        except (ValueError, KeyError, TypeError) as error:
            raise Unreadable(f"line {number}: {error!r}") from error
        one.messages.append(message)
        one.expect = one.expect or raw.get("expect", {})
    return list(found.values())[:limit]


def joined(found: Sequence[Dialogue], count: int) -> list[Dialogue]:
    """So many dialogues after one another become one, a minute between them: more talk than a small seed holds."""
    made: list[Dialogue] = []
    for place, one in enumerate(found):
        if place % count == 0:
            made.append(Dialogue(one.name))
        whole = made[-1]
        begin = whole.messages[-1].sent_at + PAUSE if whole.messages else one.messages[0].sent_at
        moved = begin - one.messages[0].sent_at
        whole.messages += [replace(message, sent_at=message.sent_at + moved) for message in one.messages]
        whole.expect = {kind: [*whole.expect.get(kind, []), *phrases] for kind, phrases in one.expect.items()}
    return made


def last_messages(dialogue: Dialogue, budget: int) -> Record:
    """As many whole messages as fit, from the newest backwards."""
    kept: list[str] = []
    for message in reversed(dialogue.messages):
        if tokens("\n".join([message.text, *kept])) > budget:
            break
        kept.insert(0, message.text)
    return Record(tuple(kept), tokens=tokens("\n".join(kept)))


def ten_keywords(dialogue: Dialogue, _budget: int) -> Record:
    """The old guide's sketch: the most frequent words of the last messages, whatever the budget."""
    said = [message.text.casefold() for message in dialogue.messages[-KEYWORD_MESSAGES:]]
    words = [word for text in said for word in _KEYWORD.findall(text) if word not in STOP]
    found = [word for word, _ in Counter(words).most_common(KEYWORDS)]
    return Record(tuple(found), tokens=tokens(", ".join(found)))


def tokens(text: str) -> int:
    """A quarter of the characters, rounded up."""
    return -(-len(text) // CHARS_PER_TOKEN)


def sentences(text: str) -> list[str]:
    """A message's sentences, as they were written."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def values(text: str) -> set[str]:
    """Numbers, times, amounts, codes, e-mails and the like, each whole and in a form that can be compared."""
    return {value for match in _VALUE.finditer(unicodedata.normalize("NFC", text)) if (value := _value(match))}


def _value(match: re.Match[str]) -> str | None:
    found = match.groupdict()
    if found["mail"]:
        return found["mail"].rstrip(".").casefold()
    if found["spaced"]:
        return re.sub(r"[ .-]", "", found["spaced"]).casefold()
    if found["before"]:
        return found["amount"] + _SIGNS[found["before"]]
    if found["after"]:
        return found["number"] + _SIGNS[found["after"].casefold()]
    has_digit = any(char.isdigit() for char in found["code"])
    return found["code"].casefold() if has_digit else None


def names(text: str) -> set[str]:
    """Capitalised words that do not begin a sentence; a word in capitals alone is none."""
    found: set[str] = set()
    for sentence in sentences(text):
        for word in sentence.split()[1:]:
            bare = next(iter(_LETTERS.findall(word)), "")
            if bare[:1].isupper() and bare[1:].islower() and len(bare) > 2 and bare.casefold() not in STOP:
                found.add(bare.casefold())
    return found


def content(text: str) -> set[str]:
    """The stems of the words that say something."""
    words = (match.group().casefold().replace("\u2019", "'") for match in _WORD.finditer(text))
    parts = (word.rpartition("'")[2] if len(word.rpartition("'")[2]) > 2 else word for word in words)
    return {_stem(word) for word in parts if len(word) > 2 and word not in STOP}


def _stem(word: str) -> str:
    plain = "".join(char for char in unicodedata.normalize("NFD", word) if not unicodedata.combining(char))
    return (plain.rstrip("aeious") if len(plain) > 4 else plain)[:STEM_CHARS] or plain


def is_negated(text: str) -> bool:
    """Whether something is denied."""
    return _NEGATION.search(text) is not None


def read_record(text: str, days: Iterable[str], *, has_profile: bool = False) -> Record:
    """Read a seed line by line; `days` (ISO) are those on which something was said."""
    pieces: list[str] = []
    broken: list[str] = []
    for line in text.split("\n") if text else []:
        day = _DAY.fullmatch(line)
        top = _TOP.fullmatch(line)
        entry = top or _SAID.fullmatch(line)
        quoted = _unquoted(entry["quoted"]) if entry else None
        if top and top["label"] in ("Cliente", "Client") and not has_profile:
            broken.append("a verified client without a profile")
        if quoted is not None:
            pieces += quoted
        elif not (_HEADING.fullmatch(line) or (day and day.group(1) in set(days))):
            broken.append(f"no line of a record: {line!r}")
    broken += [f"control characters: {one!r}" for one in pieces if any(map(_is_control, one))]
    return Record(tuple(pieces), tuple(broken), tokens(text))


def _unquoted(value: str) -> list[str] | None:
    try:
        read = json.loads(value)
    except ValueError:
        return None
    found = read if isinstance(read, list) else [read]
    return found if all(isinstance(one, str) for one in found) else None


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co") and char != "\u200d"


def score(dialogue: Dialogue, record: Record, budget: int) -> Score:
    """Hold a seed against the dialogue that it was made from."""
    wanted = wanted_values(dialogue)
    kept = wanted & _told(record.pieces)
    said = set().union(*map(content, dialogue.said_by_client))
    words = set().union(*map(content, record.pieces))
    return Score(
        values=_share(len(kept), len(wanted)),
        words=_share(len(said & words), len(said)),
        all_kept=kept == wanted if wanted and _needs(dialogue) <= budget else None,
        expected=dict(_expected(dialogue.expect, record)),
        invented=tuple(invented(dialogue, record)),
        broken=record.broken,
        tokens=record.tokens,
    )


def wanted_values(dialogue: Dialogue) -> set[str]:
    """All values and names that the client said."""
    said = dialogue.said_by_client
    return set().union(*map(values, said), *map(names, said))


def _told(pieces: Iterable[str]) -> set[str]:
    """Values, and all words: a name may be written small. 12:15 pm tells 12:15 too; 50 % does not tell 50."""
    found: set[str] = set()
    for piece in pieces:
        found |= values(piece) | {word.casefold() for word in _LETTERS.findall(piece)}
    return found | {value[:-2] for value in found if value[0].isdigit() and value.endswith(("am", "pm"))}


def _needs(dialogue: Dialogue) -> int:
    """Tokens that the client's sentences with a value take, each on a line of its own."""
    found = [one for text in dialogue.said_by_client for one in sentences(text) if values(one) or names(one)]
    return sum(tokens(one) + LINE_TOKENS for one in found)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _expected(expect: Mapping[str, Sequence[str]], record: Record) -> Iterator[tuple[str, float | None]]:
    whole = " \n".join(record.pieces)
    told = _told(record.pieces) | content(whole)
    for kind, phrases in expect.items():
        if kind == "values":
            stand = [(values(one) | content(one)) <= told for one in phrases]
        elif kind == "negations":
            stand = [any(is_negated(piece) and _holds(piece, one) for piece in record.pieces) for one in phrases]
        else:
            stand = [_holds(whole, one) for one in phrases]
        yield kind, _share(sum(stand), len(stand))


def _holds(text: str, phrase: str) -> bool:
    words = content(phrase) | values(phrase)
    return len(words & (content(text) | values(text))) >= SHARE_OF_PHRASE * len(words)


def invented(dialogue: Dialogue, record: Record) -> Iterator[str]:
    """Values and names of a seed that no message holds; a number without its unit is held by one that has a unit."""
    texts = [message.text for message in dialogue.messages]
    known = set().union(*map(values, texts))
    known |= {re.sub(r"(?:eur|usd|gbp|%|am|pm)$", "", value) for value in known}
    words = {word.casefold() for text in texts for word in _LETTERS.findall(text)}
    for piece in record.pieces:
        yield from sorted(values(piece) - known)
        yield from sorted(names(piece) - words)


def stands(lie: str, false: str, piece: str) -> bool:
    """Whether a piece of a seed tells a lie: it is the entry or the beginning or a part of it, with what is false."""
    told = _plain(piece).rstrip(". ")  # the mark of a cut text is three dots by now
    return bool(told) and told in _plain(lie) and _plain(false) in told


def mark(text: str) -> str:
    """What a message is known by in a seed's quotes, which are cut, and in what a model was shown, which is cleaned."""
    return _plain(text)[:MARK_CHARS]


def _plain(text: str) -> str:
    shown = "".join(" " if char in "\n\t\r" else char for char in text if char in "\n\t\r" or not _is_control(char))
    return " ".join(unicodedata.normalize("NFKC", shown).casefold().split())
