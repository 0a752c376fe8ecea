"""Whether a model's statement may stand beside the messages that it cites: no new value, no new name, no reversal."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Literal

from convo_service.domain.manner import MODAL, kinds, turns
from convo_service.domain.text import clean, sentences, word_set
from convo_service.domain.values import claims, values
from convo_service.domain.words import CALENDAR, SILENT, read, stem

Fault = Literal["invented_value", "invented_name", "unsupported", "turned_round"]

_NUMBER_FORMS = """
    due two|tre three|quattro four|cinque five|sei six|sette seven|otto eight|nove nine|dieci ten|undici eleven
    |dodici twelve
"""
_NUMBER_WORDS = {form: str(n) for n, forms in enumerate(_NUMBER_FORMS.split("|"), 2) for form in forms.split()}
_NUMBER_WORD = re.compile(rf"(?<![^\W_])(?:{'|'.join(_NUMBER_WORDS)})(?![^\W_])", re.IGNORECASE)
_YOU_ARE = "sei"  # "sei" backs a 6, but it claims none

_DAYS = """
    lunedì lunedi monday|martedì martedi tuesday|mercoledì mercoledi wednesday|giovedì giovedi thursday
    |venerdì venerdi friday|sabato saturday|domenica sunday|oggi today|domani tomorrow|dopodomani|ieri yesterday
    |stasera tonight|stamattina
"""
_MONTHS = """
    gennaio january|febbraio february|marzo march|aprile april|maggio|giugno june|luglio july|agosto august
    |settembre september|ottobre october|novembre november|dicembre december
"""
_DAY_OF = {form: forms.split()[0] for forms in f"{_DAYS}|{_MONTHS}".split("|") for form in forms.split()}
_MONTH_NAMES = [forms.split()[0] for forms in _MONTHS.split("|")]
_DATE = re.compile(r"\d{1,2}/(1[0-2]|[1-9])(?:/\d{4})?", re.ASCII)

_LETTERS = re.compile(r"[^\W\d_]+")
_NAME = re.compile(r"(?<![^\W_])[^\W\d_]++(?![\d_@])")
_STANDALONE = re.compile(r"(?<![\w.'&-])[B-DF-HJ-NP-Z](?![\w.'&-])")  # "magazzino B"; A, E, I and O are words as well
_FIRST = re.compile(r"[^\w]*[^\W\d_]+")
_NO_NAMES = word_set(
    """
    cliente clienti assistente azienda società ditta operatore fornitore customer client assistant company supplier bot
    whatsapp signor signora signore sig sigra dott dottor dottoressa ing geom avv rag spett egr mr mrs ms dr via viale
    piazza corso ok it uk eu ue us usa ddt iva vat piva pi cf iban pec sdi pdf srl spa snc sas srls ltd gmbh cap tel nr
    eur usd gbp kg pz mq po eta url sms faq cmr rma id ft ord rif art
    """
)
_LABELS = word_set("cliente customer client azienda company assistente assistant")
_SAYS_LITTLE = MODAL | {stem(label) for label in _LABELS}
_SHARED = 0.5


def fault(entry: str, cited: Sequence[str], known: Sequence[str] = ()) -> Fault | None:
    """What is wrong with a statement, held against its messages and the verified names; nothing when it may stand."""
    entry = clean(entry)
    if _has_new_value(entry, [*cited, *known]):
        return "invented_value"
    if _has_new_name(entry, [*cited, *known]):
        return "invented_name"
    said, source = kinds([entry]), kinds(cited)
    if not _is_supported(entry, cited, said.keys(), source.keys()):
        return "unsupported"
    return "turned_round" if turns(said, source) else None


def stated(text: str) -> frozenset[str]:
    """The values and names of a text: what must not get lost or changed."""
    return claims(text) | {*_names(clean(text))}


def held(text: str) -> frozenset[str]:
    """What of `stated` a reader of this text is told."""
    return values(text) | _words([_plain(text)])


def same_statement(one: str, other: str, *, loosely: bool = False) -> bool:
    """Whether two short statements say the same thing; `loosely`: what they rest on is the same."""
    one, other = clean(one), clean(other)
    if one.casefold() == other.casefold():
        return bool(one)
    mine, yours = _stems(one), _stems(other)
    if not _same_values(one, other) or not _overlap(mine, yours, loosely=loosely):
        return False
    said, others = kinds([one]), kinds([other])
    return not (turns(said, others) or turns(others, said))


def _has_new_value(entry: str, sources: Sequence[str]) -> bool:
    offered: set[str] = set()
    for source in sources:
        # Line by line as well: numbers of two lines are no groups of one.
        for text in (source, *source.splitlines()):
            offered |= values(text) | values(_with_digits(text))
    claimed = claims(entry) | claims(_with_digits(entry, but=_YOU_ARE))
    return not claimed <= offered or not _days(entry) <= _days(*sources) | _months(offered) | _short_days(sources)


def _is_supported(entry: str, cited: Sequence[str], said: Set[str], source: Set[str]) -> bool:
    """Whether a statement takes up anything of its messages; its values and days are known to stand there."""
    words = said - _SAYS_LITTLE
    if not words or words & source or claims(entry) or _days(entry):
        return True
    return not _words(map(_plain, cited)).isdisjoint(_names(entry))


def _with_digits(text: str, but: str = "") -> str:
    """The text with "tre" as 3."""
    return _NUMBER_WORD.sub(
        lambda found: found[0] if found[0].lower() == but else _NUMBER_WORDS[found[0].lower()], clean(text)
    )


def _days(*texts: str) -> set[str]:
    return {_DAY_OF[day] for word in _words(texts) for day in (word, word.removesuffix("s")) if day in _DAY_OF}


def _short_days(texts: Iterable[str]) -> set[str]:
    words = _words(texts)
    return {day for form, day in _DAY_OF.items() if form[:3] in words}


def _words(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in _LETTERS.findall(clean(text).casefold())}


def _months(offered: Iterable[str]) -> set[str]:
    dates = filter(None, map(_DATE.fullmatch, offered))
    return {_MONTH_NAMES[int(date[1]) - 1] for date in dates}


def _has_new_name(entry: str, sources: Sequence[str]) -> bool:
    # As a name is read, and without its accents: a mark that belongs to no letter parts a word only in the first.
    words = {word for source in sources for word in _LETTERS.findall(_plain(source))}
    words |= {_plain(word) for source in sources for word in _LETTERS.findall(clean(source))}
    stems = {stem(word) for word in words}
    return any(name not in words and (len(name) == 1 or stem(name) not in stems) for name in _names(entry))


def _plain(text: str) -> str:
    """Without case and accents: Nicolo' is Nicolò."""
    parts = unicodedata.normalize("NFD", clean(text).casefold())
    return "".join(char for char in parts if not unicodedata.combining(char))


def _names(text: str) -> Iterator[str]:
    """The words that are written as names; the first of a sentence only when it is all capitals."""
    for sentence in sentences(text):
        first = _FIRST.match(sentence)
        start = first.end() if first else 0
        for found in _NAME.finditer(sentence):
            word = found.group()
            if _is_name(word) and (found.start() >= start or word.isupper()):
                yield _plain(word)
        yield from (found.group().lower() for found in _STANDALONE.finditer(sentence, start))


def _is_name(word: str) -> bool:
    core = word.lower()
    return word[0].isupper() and len(word) > 1 and core not in SILENT | _NO_NAMES | CALENDAR


def _stems(text: str) -> set[str]:
    return {key for word in read(text) if not word.value for key in word.keys}


def _overlap(mine: set[str], yours: set[str], *, loosely: bool) -> bool:
    shared = len(mine & yours)
    if loosely and shared > _SHARED * min(len(mine), len(yours)):
        return True
    is_part = shared >= 2 and shared == min(len(mine), len(yours))
    return is_part or (shared > 0 and shared >= _SHARED * len(mine | yours))


def _same_values(one: str, other: str) -> bool:
    """Whether the codes are equal where both name some, and amounts, times and days do not differ."""
    mine, yours = claims(one), claims(other)
    codes = {value for value in mine if _is_code(value)}, {value for value in yours if _is_code(value)}
    if all(codes) and codes[0] != codes[1]:
        return False
    return _agree(mine - codes[0], yours - codes[1]) and _agree(_days(one), _days(other))


def _agree(mine: Iterable[str], yours: Iterable[str]) -> bool:
    one, other = set(mine), set(yours)
    return not one or not other or one <= other or other <= one


def _is_code(value: str) -> bool:
    return " " not in value and ":" not in value and _DATE.fullmatch(value) is None
