"""What the recent messages were about, in a few of the client's own words."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from convo_service.domain.digest import Entry, Said
from convo_service.domain.text import sentences, word_set
from convo_service.domain.words import CALENDAR, EDGES, SILENT, Word, read, stem

MOST = 5
MAX_CHARS = 60  # of a topic
CLIENT_FACTOR = 3.0
BOT_FACTOR = 1.0
NAME_FACTOR = 1.3

_LONGEST = 30  # what is longer is no word
_LONGEST_NAME = 3
_CODE = re.compile(r"(?=.*\d)(?=.*[^\W\d_])\w[\w/-]*")
_AMOUNT = re.compile(r"[\d.,:/-]+[^\W\d_]{0,3}")  # 5kg, 8th, 10am, 3x, 12/B
_ELIDED = re.compile(r"(?:l|un|d|dell|dall|all|nell|sull|quest|quell)'(?=\w)", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")

# Verbs that name no subject, compared by stem.
_VERBS = """
    avere andare arrivare aspettare attendere avuto capire cercare chiedere chiedo chiesto chiamare confermare
    controllare credere dare dato dico dici diciamo dirmi fammi farlo funzionare indicare indicarmi inviare inviarmi
    mandare mandarmi mettere parlare pensare permettere potere preferire prendere preso provare ricevere ricevuto
    riuscire restare rispondere risposto risultare sapete scrivere scrivi scrive scritto sentire sperare trovare usare
    vedere vedo visto verificare verifico volere volete facciamo fatemi ringraziare passare tenere tengo venire
    vengo viene dovrei dovrebbe
    ask call check come confirm feel find found give given guess hear hold keep leave look love make mean put say
    search see sent send show sound speak start stay suggest take talk tell think thought try use wait work require
    add wish base notify allow plan appreciate wonder happen seem bring hope enjoy
"""
# Words that name no subject either, compared as they are written: their stems are also those of other words.
_SMALL_TALK = word_set(
    """
    oggi domani dopodomani ieri stasera stamattina mattina mattino pomeriggio sera notte giorno giorni settimana
    settimane mese mesi anno anni minuto minuti ora ore volta volte momento due tre quattro cinque sei sette otto nove
    dieci euro primo prima dopo fino entro verso circa grado numero cliente signor signora signore persona persone
    ragazzi cose modo parte possibile meglio tardi troppo via posto
    today tomorrow tonight yesterday morning afternoon evening night day days week weeks weekend month months year
    years hour hours minute minutes moment time times anytime two three four five six seven eight nine ten first
    second both each next last yet done dollars dollar euros few list long maybe new old number right people person
    possible available details anywhere around best better correct exactly information option options
    actually really place many name currently cool awesome all again away way back pm every same soon
    now mind interesting
    """
)
# What stands before a noun. Beside these an adjective may stand between; "la" and "lo" are also what a verb is done to.
_DETERMINERS = word_set(
    """
    il i un uno una gli del dello della dei degli delle al allo alla ai agli alle dal dallo dalla dai dagli dalle
    nel nello nella nei negli nelle sul sullo sulla sui sugli sulle col mio mia miei mie nostro nostra nostri nostre
    vostro vostra vostri vostre suo sua suoi sue ogni questo questa quel quella
    the a an my our your his her their this these those of with for
    """
)
_PREPOSITIONS = word_set("di da in con per su senza tra fra")
_LINKS = word_set(
    """
    solito solita soliti solite stesso stessa stessi stesse scorso scorsa scorsi scorse prossimo prossima prossimi
    prossime nuovo nuova nuovi nuove vecchio vecchia vecchi vecchie altro altra altri altre ultimo ultima ultimi ultime
    primo prima grande grandi piccolo piccola piccoli piccole bello bella buon buona
    new old next last first same other another small big good
    """
)
_NO_SUBJECTS = _SMALL_TALK | _LINKS | _DETERMINERS
_CLITICS = word_set("la le lo")
_A_NUMBER = "#"
_FEMININE = word_set("foto mano auto moto radio")
_AFTER_LO = re.compile(r"[xyz]|s[^aeiou]|gn|p[sn]")
_INFINITIVE = re.compile(r"[aei]r(?:e|[mtcv]i|l[oaie]|ne)$")
_VERB_ENDING = re.compile(r"(?:iamo|[aeiu]t[oaie]|[ae]ndo|r(?:ò|ai|à|emo|ete|anno)|t[ei]?(?:mi|ci|l[oaie]|ne))$")


class _Subject(NamedTuple):
    key: str
    form: str
    proper: bool
    goes_on: bool
    noun: bool


def recent_topics(messages: Sequence[Said], *, most: int = MOST) -> list[Entry]:
    """Up to `most` words that say what was talked about, the weightiest first; equals in the order they came up.

    Each with the messages that hold it. Words are equal by stem and written as the client wrote them; names of several
    words stay together.
    """
    weights: defaultdict[str, float] = defaultdict(float)
    forms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    nouns: set[str] = set()
    where: defaultdict[str, list[Said]] = defaultdict(list)
    for said in sorted(messages, key=lambda said: (said.sent_at, said.message_id)):
        factor = CLIENT_FACTOR if said.direction == "inbound" else BOT_FACTOR
        found = list(_subjects(said.text))
        nouns.update(subject.key for subject in found if subject.noun)
        nouns.update(subject.key for subject in found if subject.key in weights and not _is_verb(subject.form))
        # Once a message: who repeats himself in one is not saying more.
        for key, form in {subject.key: subject.form for subject in found}.items():
            weights[key] += factor * (1.0 if form.islower() else NAME_FACTOR)
            forms[key][form] += round(factor)
            where[key].append(said)
    chosen = sorted(_likely(weights, nouns), key=lambda key: -weights[key])
    return [_topic(forms[key].most_common(1)[0][0], where[key]) for key in _without_parts(chosen)[: max(most, 0)]]


def _topic(form: str, where: Sequence[Said]) -> Entry:
    last = where[-1]
    return Entry(
        form, last.message_id, last.direction, last.sent_at, also=tuple(said.message_id for said in where[:-1])
    )


def _likely(keys: Iterable[str], nouns: set[str]) -> list[str]:
    """The words that are surely nouns; when there are none, all that may be."""
    keys = list(keys)
    return [key for key in keys if key in nouns] or keys


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


def _subjects(text: str) -> Iterator[_Subject]:
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
                yield subject
        if name:
            yield _joined(name)


def _joined(name: list[_Subject]) -> _Subject:
    return name[0]._replace(key=" ".join(part.key for part in name), form=" ".join(part.form for part in name))


def _words(sentence: str) -> Iterator[_Subject]:
    """The words of a sentence; a word that cannot be a topic has no key."""
    shouted = sentence.isupper() and " " in sentence
    opener = ""  # what stands before the word, when that is what stands before nouns
    words = read(sentence)
    for place, (piece, word) in enumerate(zip(sentence.split(" "), words, strict=True)):
        written = word.printed.strip(EDGES + "#").removesuffix("'s")
        form = _without_article(written)
        begins = place == 0 and form == written
        proper = not shouted and (form[1:] != form[1:].lower() or (form[:1].isupper() and not begins))
        noun = proper or word.value or _ELIDED.match(piece.replace("\u2019", "'")) is not None
        if not _is_group(words, place):
            yield _subject(word, form, proper, noun=noun or _is_noun(word.core, opener))
        opener = _opener(word, opener)


def _is_group(words: Sequence[Word], place: int) -> bool:
    """Whether a value is only a part of one that is written in groups: of an IBAN, of a telephone number."""
    pairs = pairwise(words[max(place - 1, 0) : place + 2])
    return any(one.value and two.value and one.printed[-1:].isalnum() for one, two in pairs)


def _without_article(form: str) -> str:
    """`Industria` of dell'Industria and `IBAN` of L'IBAN, but L'Aquila and D'Angelo keep theirs."""
    bare = _ELIDED.sub("", form, count=1)
    return form if form[:1].isupper() and bare.istitle() else bare


def _subject(word: Word, form: str, proper: bool, *, noun: bool) -> _Subject:
    if not _is_subject(word, form, proper):
        return _Subject("", "", proper=False, goes_on=False, noun=False)
    if word.value:
        return _Subject(word.keys[0], form, proper=False, goes_on=False, noun=True)
    written = form if proper else form.lower()
    return _Subject(" ".join(word.keys), written, proper, goes_on=word.printed.endswith(form), noun=noun)


def _opener(word: Word, before: str) -> str:
    """What a word makes of the next one; an adjective hands on what stood before it."""
    if not word.printed[-1:].isalnum():
        return ""
    if word.value:
        return _A_NUMBER
    if word.core in _LINKS:
        return before
    return word.core if word.core in _DETERMINERS or word.core in _PREPOSITIONS or word.core in _CLITICS else ""


def _is_noun(core: str, opener: str) -> bool:
    """Whether what stands before a word tells that it is a noun."""
    if opener in _PREPOSITIONS:
        return _INFINITIVE.search(core) is None
    if opener == "lo":
        return _AFTER_LO.match(core) is not None
    if opener in _CLITICS:
        return not core.endswith("o") or core in _FEMININE
    return opener in _DETERMINERS or (opener == _A_NUMBER and not core.endswith("o") and not _is_verb(core))


def _is_verb(form: str) -> bool:
    return form.islower() and (_VERB_ENDING.search(form) or _INFINITIVE.search(form)) is not None


def _is_subject(word: Word, form: str, proper: bool) -> bool:
    if not word.keys or len(form) > _LONGEST:
        return False
    if word.value:
        return _CODE.fullmatch(form) is not None and _AMOUNT.fullmatch(form) is None
    if _WORD.fullmatch(form) is None or word.core in CALENDAR:
        return False
    return proper or not is_vague(word)


def is_vague(word: Word) -> bool:
    """Whether a word names no subject, by itself: a verb of all talk, a time, an adjective such as "new"."""
    return word.core in _NO_SUBJECTS or not _verbs().isdisjoint(word.keys)


@lru_cache(maxsize=1)
def _verbs() -> frozenset[str]:
    return frozenset(stem(verb) for verb in _VERBS.split() if verb not in SILENT)
