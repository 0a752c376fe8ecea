"""What the recent messages were about, in a few of the client's own words."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from convo_service.domain.digest import Said
from convo_service.domain.text import sentences, word_set
from convo_service.domain.words import EDGES, SILENT, Word, look, stem

CLIENT_FACTOR = 3.0
BOT_FACTOR = 1.0
NAME_FACTOR = 1.3

_LONGEST = 30  # what is longer is no word
_LONGEST_NAME = 3
_CODE = re.compile(r"(?=.*\d)(?=.*[^\W\d_])\w[\w/-]*")
_AMOUNT = re.compile(r"[\d.,:/-]+[^\W\d_]{0,3}")  # 5kg, 8th, 10am, 3x, 12/B
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")

# Verbs that name no subject, compared by stem.
_VERBS = """
    avere andare arrivare aspettare attendere avuto capire cercare chiedere chiedo chiesto chiamare confermare
    controllare credere dare dato dico dici diciamo dirmi fammi farlo funzionare indicare indicarmi inviare inviarmi
    mandare mandarmi mettere parlare pensare permettere potere preferire prendere preso provare ricevere ricevuto
    riuscire rispondere risposto risultare sapete scrivere scrivi scrive scritto sentire sperare trovare usare
    vedere vedo visto verificare verifico volere volete facciamo fatemi ringraziare passare tenere tengo venire
    vengo viene dovrei dovrebbe
    ask call check come confirm feel find found give given guess hear hold keep leave look love make mean put say
    search see sent send show sound speak start stay suggest take talk tell think thought try use wait work require
    add wish base notify allow plan appreciate wonder happen seem bring hope enjoy
"""
# Words that name no subject either, compared as they are written: their stems are also those of other words.
_CALENDAR = word_set(
    """
    lunedì martedì mercoledì giovedì venerdì sabato domenica gennaio febbraio marzo aprile maggio giugno luglio agosto
    settembre ottobre novembre dicembre
    monday tuesday wednesday thursday friday saturday sunday january february march april june july august september
    october november december
    """
)
_SMALL_TALK = word_set(
    """
    oggi domani dopodomani ieri stasera stamattina mattina mattino pomeriggio sera notte giorno giorni settimana
    settimane mese mesi anno anni minuto minuti ora ore volta volte momento due tre quattro cinque sei sette otto nove
    dieci euro primo prima dopo fino entro verso circa grado numero cliente signor signora signore persona persone
    ragazzi cose modo parte possibile grande piccolo nuovo nuova bello bella meglio giusto tardi troppo
    today tomorrow tonight yesterday morning afternoon evening night day days week weeks weekend month months year
    years hour hours minute minutes moment time times anytime two three four five six seven eight nine ten first
    second both each next last yet done dollars dollar euros few list long maybe new old number right people person
    possible available details anywhere around best better big small correct exactly information option options
    actually really place many name currently cool awesome all again away way back pm every same soon
    now mind interesting
    """
)


class _Subject(NamedTuple):
    key: str
    form: str
    proper: bool
    goes_on: bool


def recent_topics(messages: Sequence[Said], *, most: int = 5) -> list[str]:
    """Up to `most` words that say what was talked about, the weightiest first; equals in the order they came up.

    Words are equal by stem and written as the client wrote them; names of several words stay together.
    """
    weights: defaultdict[str, float] = defaultdict(float)
    forms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for said in sorted(messages, key=lambda said: (said.sent_at, said.message_id)):
        factor = CLIENT_FACTOR if said.direction == "inbound" else BOT_FACTOR
        written = dict(_subjects(said.text))  # once a message: who repeats himself in one is not saying more
        for key, form in written.items():
            weights[key] += factor * (1.0 if form.islower() else NAME_FACTOR)
            forms[key][form] += round(factor)
    chosen = sorted(weights, key=lambda key: -weights[key])
    return [forms[key].most_common(1)[0][0] for key in _without_parts(chosen)[: max(most, 0)]]


def _without_parts(keys: Iterable[str]) -> list[str]:
    """The keys without those that share a word with a weightier one: Bianchi beside Luca Bianchi."""
    kept: list[str] = []
    seen: set[str] = set()
    for key in keys:
        parts = set(key.split())
        if seen.isdisjoint(parts):
            kept.append(key)
        seen |= parts
    return kept


def _subjects(text: str) -> Iterator[tuple[str, str]]:
    """Each word or name that may be a topic: what it counts as, and how to write it."""
    for sentence in sentences(text):
        name: list[_Subject] = []
        for subject in _words(sentence):
            if name and not (subject.proper and name[-1].goes_on and len(name) < _LONGEST_NAME):
                yield _joined(name)
                name = []
            if subject.proper:
                name.append(subject)
            elif subject.key:
                yield subject.key, subject.form
        if name:
            yield _joined(name)


def _joined(name: list[_Subject]) -> tuple[str, str]:
    return " ".join(part.key for part in name), " ".join(part.form for part in name)


def _words(sentence: str) -> Iterator[_Subject]:
    """The words of a sentence; a word that cannot be a topic has no key."""
    shouted = sentence.isupper() and " " in sentence
    for place, word in enumerate(map(look, sentence.split(" "))):
        form = word.printed.strip(EDGES + "#").removesuffix("'s")
        proper = not shouted and (form[1:] != form[1:].lower() or (place > 0 and word.capital))
        if not _is_subject(word, form, proper):
            yield _Subject("", "", proper=False, goes_on=False)
        elif word.value:
            yield _Subject(word.keys[0], form, proper=False, goes_on=False)
        else:
            written = form if proper else form.lower()
            yield _Subject(" ".join(word.keys), written, proper, goes_on=word.printed.endswith(form))


def _is_subject(word: Word, form: str, proper: bool) -> bool:
    if not word.keys or len(form) > _LONGEST:
        return False
    if word.value:
        return _CODE.fullmatch(form) is not None and _AMOUNT.fullmatch(form) is None
    if _WORD.fullmatch(form) is None or word.core in _CALENDAR:
        return False
    return proper or (word.core not in _SMALL_TALK and _verbs().isdisjoint(word.keys))


@lru_cache(maxsize=1)
def _verbs() -> frozenset[str]:
    return frozenset(stem(verb) for verb in _VERBS.split() if verb not in SILENT)
