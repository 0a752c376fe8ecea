"""Italian and English words: which of them say something, which are equal, which may go when a sentence is retold."""

import re
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

import snowballstemmer

from convo_service.domain.text import word_set

# Never dropped: without them a sentence says the opposite. Every English "...n't" belongs here as well.
NEGATIONS = word_set(
    """
    non no né nè mai nessuno nessun nessuna niente nulla senza neanche nemmeno neppure mica tranne eccetto
    not never none nor neither nobody nothing nowhere without cannot except unless
    dont doesnt didnt isnt arent wasnt werent cant couldnt wont wouldnt shouldnt havent hasnt hadnt aint
    """
)

# Dropped when a sentence is retold: what a reader puts back without thinking. No number, unit, negation or third
# person is here, nor a word with a heavier second meaning ("sei" is also six, "due" is two, "am" is an hour's unit).
_GRAMMAR_IT = """
    il lo la i gli le un una di a ad in con su per tra fra del dello della dei degli delle al allo alla ai agli alle
    nel nello nella nei negli nelle sul sullo sulla sui sugli sulle col e ed che è sono siamo siete era erano eri ero
    essere sia sarà sarebbe ho hai ha abbiamo avete hanno avevo aveva avere avrei avrebbe io tu lei noi voi mi ti ci
    vi si me te li ne c'è c'era questo questa quello quella sto stai sta stiamo stanno stavo puoi può potete possiamo
    posso potrei potresti potrebbe potreste vorrei vorremmo volevo volevamo mio mia miei mie anche proprio cioè quindi
    allora insomma poi beh mah eh ah oh
"""
_GRAMMAR_EN = """
    the a an of to in on at for with as and that this is are was were be been being it its i you we me us my your our
    do does did have has had having will would can could shall there well also then so
    i'm i'd i'll i've it's that's there's you're you'll you'd you've we're we'll we'd let's here's im ive
"""
_COURTESY = word_set(
    """
    ciao salve buongiorno buonasera buonanotte buon buona buone buoni giornata serata saluti cordiali grazie ringrazio
    prego scusa scusi scusate scusami gentile gentilmente cortesia favore piacere ok okay d'accordo perfetto benissimo
    hello hi hey bye goodbye thanks thank thx please pls sorry welcome dear kindly great perfect sure alright
    """
)
# Where something comes from is dropped as well, unless a name or a number says from where.
_ORIGINS = word_set("da dal dallo dalla dai dagli dalle from")
# And prepositions directly before a number: "alle 17" is no 17, "a 56" is a price, "per 30" is enough for them.
_MEASURES = word_set("a ad al allo alla alle ai agli con per tra fra in") | _ORIGINS
_DROPPED = (word_set(f"{_GRAMMAR_IT} {_GRAMMAR_EN}") | _COURTESY | _ORIGINS) - NEGATIONS
_NAME_OPENERS = word_set("il lo la i gli le di del della dei degli the will")  # La Spezia, Di Maio, The Hague, Will
_NAME_LETTERS = frozenset("ae")  # terminal A, building E
_HUNDREDS = word_set("cento cent")  # 5 per cento
_LIMITS = word_set("fino entro prima dopo until till before after")  # "prima 7" is not "prima delle 7"
_ARTICLES = word_set("il lo la i gli le the")
_ONE = word_set("un una")  # a number before a unit or an "or", and where nothing follows that they could belong to
_UNITS = word_set("chilo kg etto quintale litro metro bancale giorno settimana mese anno")
_OR = word_set("o or")
_AND = word_set("e ed and")
_AGREED = "d'accordo"  # courtesy, but not in "come d'accordo"
_PHRASES = {
    "a": word_set("mano meno parte posto ruba"),
    "da": word_set("capo parte"),
    "di": word_set("meno nuovo"),
    "in": word_set("meno più"),
}
# What one wishes: "buon lavoro" is as little about work as "buongiorno" is about a day.
_WISHES = word_set("buon buona buone buoni")
_WISHED = word_set(
    "giorno pomeriggio sera notte domenica fine weekend settimana mese anno lavoro lavori ponte festa feste natale"
    " pasqua vacanza vacanze ferie viaggio riposo fortuna proseguimento continuazione"
)

CALENDAR = word_set(
    """
    lunedì martedì mercoledì giovedì venerdì lunedi martedi mercoledi giovedi venerdi sabato domenica
    gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
    oggi domani dopodomani ieri stasera stamattina
    monday tuesday wednesday thursday friday saturday sunday january february march april june july august september
    october november december today tomorrow yesterday tonight
    """
)

# Printed, but they do not say what a sentence is about.
_VAGUE = word_set(
    """
    come quando dove quanto quanta quanti quante quale quali chi cosa cos perché perche se ma o oppure invece però
    più meno molto molta molti poco tanto tutto tutti tutta tutte già ancora sempre solo qui qua lì là così qualche
    qualcosa altro altra altri altre uno lui loro suo sua suoi sue loro cui sì certo va bene fare faccio fa fatto
    voglio vuole vuoi devo deve dobbiamo sapere so sa dire detto dall dell nell sull un quest quell dov com cos
    mille dispiace ragione aiutarla aiutarti aiutarvi bisogno serve servono servirebbe
    interessa presto disposizione aiutare aiuto assistenza
    appunto esatto giusto ottimo volentieri capisco registrato registrata annotato verifico subito raccomando parlo
    gentilissimi gentilissima gentilissimo bravi bravo brava top ora giorno
    what which who whose when where why how if but or than because some any anything something everything else other
    another one more much many very too only just yes yeah yep nope he she they him them his her their these those
    here am by from into about up out off want wants need needs like know get got go going make let should must may
    might help helped nice looking see soon needed wanted wonderful good cheers sounds assist assistance
    interested glad thing things able
    """
)
SILENT = _DROPPED | NEGATIONS | _VAGUE

EDGES = ".,;:!?\"'“”«»()[]{}<>*_~|`"
_PAUSES = ".,;:!"
_MARKS = ",;:?"  # handed on by a word that is dropped
_ELIDED = re.compile(r"(?:(?:l|d|dell|all|nell|sull)')+(?=[^\W\d_])", re.IGNORECASE)
_PARTS = re.compile(r"\w+")
_OPENING = re.compile(r"^[\"“«(\[]+(?=\w)")
_CLOSING = re.compile(r"(?<=[^\W\d_])[\"”»)\]]+(?=[.,;:!?]*$)")
_APOSTROPHES = str.maketrans("\u2019\u2018", "''")
_LONGEST_STEMMED = 30  # longer than any word of either language: not worth the stemmer's time
_REMEMBERED = 20_000

_italian: Any = snowballstemmer.stemmer("italian")
_english: Any = snowballstemmer.stemmer("english")
_stemming = Lock()  # a stemmer keeps its word in itself


class Word(NamedTuple):
    """One blank-separated piece of a sentence, looked at once."""

    printed: str
    core: str
    keys: tuple[str, ...]
    droppable: bool
    capital: bool
    value: bool

    @property
    def anchor(self) -> bool:
        """Whether a function word beside it may mean something: a number, a name, a day."""
        return self.value or self.capital or self.core in CALENDAR


class _Behind(NamedTuple):
    """What follows a word: the next word, the next that is no function word, and whether that is a number."""

    core: str
    kept: Word | None
    measured: bool


@lru_cache(maxsize=_REMEMBERED)
def stem(word: str) -> str:
    """What a lower-case word shares with its other forms, in both languages at once, so none has to be guessed."""
    if len(word) > _LONGEST_STEMMED:
        return word
    with _stemming:
        return str(_italian.stemWord(_english.stemWord(word)))


def is_negation(core: str) -> bool:
    """Whether a lower-case word turns a sentence round."""
    return core in NEGATIONS or core.endswith("n't")


@lru_cache(maxsize=_REMEMBERED)
def look(piece: str) -> Word:
    """What one blank-separated piece of a sentence is."""
    printed = _unquoted(piece.translate(_APOSTROPHES))
    shape = printed.strip(EDGES)
    core = shape.lower()
    if not is_negation(core) and core not in _DROPPED and (article := _ELIDED.match(shape)):
        bare = shape[article.end() :]
        if bare[0].islower():  # L'Aquila and D'Angelo keep theirs
            printed, shape, core = printed.replace(article.group(), "", 1), bare, bare.lower()
    value = any(char.isdigit() for char in core) or "@" in core
    return Word(printed, core, _keys(core, value), _droppable(shape, core), shape[:1].isupper(), value)


def read(sentence: str) -> list[Word]:
    """The words of a sentence; what is only wished in it is nothing."""
    words = [look(piece) for piece in sentence.split(" ")]
    opens = True  # nothing but function words stands between here and the beginning or the last mark
    wishing = False
    for place, word in enumerate(words):
        if wishing and word.core in _WISHED:
            words[place] = look(word.printed[-1:] if word.printed[-1:] in _MARKS else "")
        else:
            wishing = opens and word.core in _WISHES
        opens = word.printed[-1:] in _MARKS or (opens and words[place].droppable)
    return words


def telegraphic(sentence: str) -> str:
    """The sentence without its function words; itself when it has no other words. Telling it twice changes nothing.

    Whether a word stays depends on itself and on words that stay, so a second telling finds the same reasons.
    """
    words = read(sentence)
    told: list[str] = []
    before: Word | None = None
    negated = False  # nothing but function words stands between here and a negation: "non mi è" arrivato
    for word, behind in zip(words, _behind(words), strict=True):
        mark = word.printed[-1:] if word.printed[-1:] in _MARKS else ""
        if not word.droppable or (word.core and (negated or _is_needed(word, before, behind, bool(told)))):
            told.append(word.printed)
        elif told and mark:
            told[-1] = told[-1].rstrip(_MARKS) + mark
        negated = not mark and (is_negation(word.core) or (negated and word.droppable))
        before = None if word.droppable else word
    return " ".join(told).rstrip(_PAUSES + " ") or sentence


def _behind(words: list[Word]) -> list[_Behind]:
    """What follows each word."""
    following: list[_Behind] = []
    behind = _Behind("", None, measured=False)
    for word in reversed(words):
        following.append(behind)
        measured = word.value or (behind.measured and word.core in _ARTICLES) or _is_one(word, behind)
        behind = _Behind(word.core, behind.kept if word.droppable else word, measured)
    return following[::-1]


def _is_needed(word: Word, before: Word | None, behind: _Behind, is_told: bool) -> bool:
    """Whether a function word is none here: it counts, belongs to a phrase or a name, or joins names and numbers."""
    if word.core in _ONE:
        return _counts(word, behind, is_told)
    if word.core == _AGREED:
        return before is not None and before.printed[-1:] not in _MARKS
    if behind.measured and (word.core in _MEASURES or (word.core in _AND and is_told)):
        return True
    if behind.core in _PHRASES.get(word.core, ()):
        return True
    if before is not None and word.capital and word.core in _NAME_LETTERS:
        return True
    return behind.kept is not None and _joins(word, before, behind.kept)


def _counts(word: Word, behind: _Behind, is_told: bool) -> bool:
    """Whether an article is a number: "mettimene una", "una, non due", "una o due", "da un chilo"."""
    ends = word.printed[-1:] in _MARKS or (behind.kept is None and is_told)
    return ends or behind.core in _OR or _is_one(word, behind)


def _is_one(word: Word, behind: _Behind) -> bool:
    return word.core in _ONE and behind.core in _UNITS


def _joins(word: Word, before: Word | None, after: Word) -> bool:
    """Whether a function word joins two names, numbers or days, or says where something is from."""
    if not (after.anchor or after.core in _HUNDREDS):
        return False
    joins = before is not None and (before.anchor or before.core in _LIMITS)
    return joins or word.core in _ORIGINS or (word.capital and word.core in _NAME_OPENERS)


def _unquoted(piece: str) -> str:
    """Without quotes and brackets, which cost two characters each in a JSON string; a link may need them."""
    return piece if "/" in piece else _CLOSING.sub("", _OPENING.sub("", piece))


def _droppable(shape: str, core: str) -> bool:
    if core not in _DROPPED:
        return not core
    return core in _COURTESY or not (shape.isupper() and 2 <= len(shape) <= 3)  # IT and US are not "it" and "us"


def _keys(core: str, value: bool) -> tuple[str, ...]:
    """What the word counts as: a number, an address or a link as a whole, any other word by its stems."""
    if value:
        return (core.strip("$€£"),)
    if core in SILENT or is_negation(core):
        return ()
    return tuple(stem(part) for part in _PARTS.findall(core) if len(part) > 1 and part not in SILENT)
