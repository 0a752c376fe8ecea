"""What of a stored text may go on into a seed, and how it is cut into sentences."""

import re
import unicodedata
from collections.abc import Iterator


def word_set(listed: str) -> frozenset[str]:
    """The words of a list that is written as a text."""
    return frozenset(listed.split())


# Unicode's default-ignorable characters, controls, non-characters and lone surrogates: invisible to a reader,
# visible to a model. Blanks among the controls are not here: they become a space first.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

# Normalising is quadratic in the number of combining marks on one letter; UAX #15 calls 30 safe.
_MARKS = 30
_LONG_MARKS = re.compile(rf"(?:(?![ -~])[^\w\s]){{{_MARKS + 1},}}")

SENTENCE_CHARS = 300
# Stops are matched from the first of a row only: from each of them it would be quadratic.
_STOP = re.compile(r"(?<![.!?;])[.!?;]++[\"”»')\]]*+(?=\s)|。")
_INITIALS = re.compile(r"[(\"'«“]*[^\W\d_](?:\.[^\W\d_])*")  # S.r.l, p.m, a single letter
_NUMBERING = re.compile(r"[(\[]*\d{1,3}")  # the "1." that opens a line of a list
_ABBREVIATIONS = word_set(
    """
    arch art avv cap cell cod cfr dott dr ecc eg egr es etc fatt fig fraz geom gent inc ing int jr loc
    ltd mr mrs ms nr nrs ns num ord pag pagg pp prof prot prov rag rif sec sig sigg sigra spett st str tel vol vs
    """
)
# These may end a sentence as well, and do when a capital follows: "30 kg. di riso", "ne prendo 30 kg. Grazie".
_HALF_ABBREVIATIONS = word_set("all ca cad conf gg gr kg lt max min mq mt pz q.li q.tà qli ri.ba")


CHARS_PER_TOKEN = 4


def tokens(text: str) -> int:
    """The price of a text in tokens, as every budget here counts it: a quarter of its characters, rounded up."""
    return -(-len(text) // CHARS_PER_TOKEN)


def clean(text: str) -> str:
    """The text on one line with nothing hidden in it: NFKC, no unseen character, single spaces."""
    text = " ".join(text.split())
    if text.isascii() and text.isprintable():
        return text
    seen = _LONG_MARKS.sub(_without_excess_marks, _UNSEEN.sub("", text))
    return " ".join(unicodedata.normalize("NFKC", seen).split())


def cut(text: str, limit_chars: int) -> str:
    """At most `limit_chars` of the text, up to a space where there is one; never empty when the text is not."""
    if len(text) <= limit_chars:
        return text
    space = text.rfind(" ", 1, max(limit_chars, 1) + 1)
    return text[: space if space > 0 else max(limit_chars, 1)]


def sentences(text: str) -> Iterator[str]:
    """The cleaned sentences of a text, none longer than `SENTENCE_CHARS` and none empty."""
    for line in text.splitlines():
        for sentence in _split(clean(line)):
            yield from _pieces(sentence)


def _without_excess_marks(run: re.Match[str]) -> str:
    return "".join(char for place, char in enumerate(run.group()) if place < _MARKS or not unicodedata.combining(char))


def _split(line: str) -> Iterator[str]:
    start = 0
    for stop in _STOP.finditer(line):
        if stop.group() == "." and _is_inside(line, start, stop.start()):
            continue
        yield line[start : stop.end()].strip()
        start = stop.end()
    if start < len(line):
        yield line[start:].strip()


def _is_inside(line: str, start: int, dot: int) -> bool:
    """Whether the full stop at `dot` belongs to an abbreviation or a numbering instead of ending a sentence."""
    begin = max(start, line.rfind(" ", start, dot) + 1)
    word = line[begin:dot]
    if begin - start <= 1 and _NUMBERING.fullmatch(word):
        return True
    core = word.strip("(\"'«“").lower()
    if core in _HALF_ABBREVIATIONS:
        return not line[dot + 2 : dot + 3].isupper()
    return core in _ABBREVIATIONS or _INITIALS.fullmatch(word) is not None


def _pieces(sentence: str) -> Iterator[str]:
    start = 0
    while start < len(sentence):
        piece = cut(sentence[start : start + SENTENCE_CHARS + 1], SENTENCE_CHARS)
        yield piece
        start += len(piece)
        start += sentence.startswith(" ", start)
