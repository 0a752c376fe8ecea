"""Whether a model's statement may stand beside the messages that it cites: no new value, no new name, no reversal."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import pairwise
from typing import Literal, NamedTuple

from convo_service.domain.text import clean, sentences, word_set
from convo_service.domain.values import claims, values
from convo_service.domain.words import CALENDAR, SILENT, is_negation, look, read, stem

Fault = Literal["invented_value", "invented_name", "unsupported", "turned_round"]
# How a text says a word: as done, as a fact, as a wish or a question, as not there (yet), as refused, or as none.
Kind = Literal["done", "asserted", "asked", "missing", "denied", "open"]

# What turns a word round is its source saying it in no other way than these.
_TURNS: Mapping[Kind, frozenset[Kind]] = {
    "done": frozenset({"denied", "missing", "asked"}),  # "da pagare" is not paid
    "asserted": frozenset({"denied", "missing"}),
    "asked": frozenset({"denied"}),  # "non ho ricevuto la fattura" and "chiede la fattura" agree
    "missing": frozenset({"done", "asserted"}),
    "denied": frozenset({"done", "asserted", "asked"}),
    "open": frozenset(),
}

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
_CLASSES = {
    "#want": """
        voglio vuole vuoi vogliamo volete vogliono vorrei vorrebbe vorremmo vorrebbero volevo voleva volevamo desidera
        desidero desideriamo desiderano want wants wanted wish wishes
    """,
    "#can": "posso può puo puoi possiamo potete possono potrei potrebbe riesco riesce riusciamo can could able",
    "#arrive": """
        arrivato arrivata arrivati arrivate arriva arrivano arrivare arrivi ricevuto ricevuta ricevuti ricevute ricevo
        riceve riceviamo ricevere pervenuto pervenuta pervenuti pervenute consegnato consegnata consegnati consegnate
        recapitato recapitata recapitati recapitate received receive receives arrived arrive arrives delivered
    """,
    "#pay": "paid pay pays payment payments paying pagato pagata pagati pagate pagare paga pago pagamento pagamenti",
}
_CLASS_OF = {form: name for name, forms in _CLASSES.items() for form in forms.split()}
_MODAL = frozenset({"#want", "#can"})  # so common that denying one beside another one says little
_LABELS = word_set("cliente customer client azienda company assistente assistant")
_SAYS_LITTLE = _MODAL | {stem(label) for label in _LABELS}
# Silent elsewhere, but what one denies.
_KEPT = word_set("serve servono servirebbe bisogno interessa interested bene giusto good need needs needed certo")
_CANNOT = word_set("can't cant cannot couldn't couldnt")

_REACH = 4
_CONTRASTS = word_set("ma però pero bensì mentre but however whereas")
_ANDS = word_set("e ed and o or")
_IDIOMS = word_set("solo soltanto solamente appena only just")  # "non solo", "non appena" deny nothing
_CONDITIONS = word_set("se if")
_WHYS = word_set("perché perche why")  # "perché non mandate un PDF?" proposes it
# Where one of these comes first, it alone is denied: "non prima di lunedì", "nessun problema per lunedì".
_LIMITERS = word_set("prima dopo oltre before after later earlier problema problemi problem problems dubbio fretta")
_WISHES = word_set("serve servono bisogno interessa need needs interested")
_LACKS = word_set("c'è c'era trovo trova troviamo trovato vedo vede vediamo visto risulta risultano ancora yet there")
_HAVING = word_set("ho hai ha abbiamo avete hanno have has had got")
_ARTICLES = word_set("il la lo i gli le un uno una the a an any nessun nessuna alcun alcuna")
_CLITICS = word_set("la lo le li")
_GONE = word_set("manca mancano mancava mancavano mancante mancanti mancato mancata missing")
_SOFT = word_set(
    """
    deve devono dobbiamo dovrebbe dovrà chiede chiedono chiedo chiediamo richiede richiedono richiesta richiesto
    richiesti sollecita sollecito sollecitano attende attendono attesa aspetta aspetto aspettano aspettiamo reclama
    reclamo serve servono bisogno segnala segnalano lamenta contesta ritardo perso smarrito must should asks ask
    asked asking request requests requested waiting awaiting awaits waits expects pending overdue late reports
    complains chases needs
    """
)
_OPENERS = re.compile(
    r"(?:chius|esclus|esclud|rifiut|evit|annull|disd|rinunc|contrari|vietat|impossib|indispon|assent|closed|exclud"
    r"|declin|refus|cancel|avoid|reject)"
)
_INFINITIVE = re.compile(r"\w+r(?:e|si|l[aoei]|ne|mi|ci|vi|gli)$")
_PARTICIPLE = re.compile(r"\w{2,}(?:[aiu]t[oaie]|ed)$|paid$")
_NO_PARTICIPLES = word_set("giornata mattinata serata nottata fatturato privato privata mercato need")
_AFTER = ".,;:!?)…"
_ENGLISH_TAILS = word_set("s m re ve ll d")
_SHARED = 0.5


class _Spoken(NamedTuple):
    """One word of a clause."""

    core: str
    key: str  # what it says, by stem; nothing for a function word or a number
    stops: bool  # a mark behind it ends what a negation reaches
    elided: bool  # an "l'" stood before it


def fault(entry: str, cited: Sequence[str], known: Sequence[str] = ()) -> Fault | None:
    """What is wrong with a statement, held against its messages and the verified names; nothing when it may stand."""
    entry = clean(entry)
    if _has_new_value(entry, [*cited, *known]):
        return "invented_value"
    if _has_new_name(entry, [*cited, *known]):
        return "invented_name"
    said, source = _kinds([entry]), _kinds(cited)
    if not _is_supported(entry, cited, said.keys(), source.keys()):
        return "unsupported"
    return "turned_round" if _turns(said, source) else None


def stated(text: str) -> frozenset[str]:
    """The values and names of a text: what must not get lost or changed."""
    return claims(text) | {*_names(clean(text))}


def held(text: str) -> frozenset[str]:
    """What of `stated` a reader of this text is told."""
    return values(text) | _words([_plain(text)])


def same_statement(one: str, other: str) -> bool:
    """Whether two short statements say the same thing."""
    one, other = clean(one), clean(other)
    if one.casefold() == other.casefold():
        return bool(one)
    mine, yours = _stems(one), _stems(other)
    if not _same_values(one, other) or not _overlap(mine, yours):
        return False
    kinds, others = _kinds([one]), _kinds([other])
    return not (_turns(kinds, others) or _turns(others, kinds))


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
    words = {word for source in sources for word in _LETTERS.findall(_plain(source))}
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


def _kinds(texts: Iterable[str]) -> dict[str, set[Kind]]:
    """In which ways each word is said."""
    found: defaultdict[str, set[Kind]] = defaultdict(set)
    for text in texts:
        for sentence in sentences(text):
            for clause in _clauses(sentence):
                for key, kind in _manners(clause, asks=sentence.endswith("?")):
                    found[key].add(kind)
    return dict(found)


def _turns(said: Mapping[str, set[Kind]], source: Mapping[str, set[Kind]]) -> bool:
    """Whether a word is said in no way that its source could mean."""
    return any(
        all(_is_turned(key, kind, source[key]) for kind in kinds) for key, kinds in said.items() if key in source
    )


def _is_turned(key: str, kind: Kind, source: set[Kind]) -> bool:
    return source <= _TURNS[kind] and not (key in _MODAL and kind != "asserted")


def _clauses(sentence: str) -> Iterator[list[_Spoken]]:
    """The clauses: up to a comma, a contrast, or an "and not". A colon joins what it explains."""
    clause: list[_Spoken] = []
    pieces = [piece for piece in sentence.split(" ") if piece]
    words = [_spoken(piece) for piece in pieces]
    for place, (piece, word) in enumerate(zip(pieces, words, strict=True)):
        following = words[place + 1].core if place + 1 < len(words) else ""
        if word.core in _CONTRASTS or (word.core in _ANDS and is_negation(following)):
            yield clause
            clause = []
            continue
        clause.append(word)
        if word.stops and not piece.endswith((":", ")")):
            yield clause
            clause = []
    yield clause


def _spoken(piece: str) -> _Spoken:
    word = look(piece)
    core, last = word.core, word.printed[-1:]
    if not is_negation(core) and core not in _LACKS and "'" in core:
        head, tail = core.split("'", 1)
        core = head if tail in _ENGLISH_TAILS else tail.rpartition("'")[2] or head
    elided = piece.lower().replace("\u2019", "'").startswith("l'")
    return _Spoken(core, "" if word.value else _key(core), last in _AFTER or not core, elided)


def _key(core: str) -> str:
    if core in _CANNOT:
        return "#can"
    if core in _CLASS_OF:
        return _CLASS_OF[core]
    if len(core) < 3 or is_negation(core) or (core in SILENT and core not in _KEPT):
        return ""
    return stem(core[:-1] + "o" if core.endswith("ate") else core)  # "annullate" is no English "-ate"


def _manners(clause: Sequence[_Spoken], *, asks: bool) -> Iterator[tuple[str, Kind]]:
    """How each word of a clause is said."""
    reached: dict[int, Kind] = {}
    negated = False
    for place, word in enumerate(clause):
        if is_negation(word.core) and not _is_idiom(clause, place):
            negated = True
            kind = _denial(clause, place)
            reached.update(dict.fromkeys(_scope(clause, place), kind))
    usual = "open" if negated else _usual(clause, asks=asks)
    for place, word in enumerate(clause):
        if word.key:
            # What makes a clause a wish or a refusal is itself a fact: "vuole annullare".
            own: Kind = "asserted" if not negated and not asks and _colours(word.core) else usual
            yield word.key, _finished(word, reached.get(place, own))


def _finished(word: _Spoken, kind: Kind) -> Kind:
    """A participle says that something is done; one that is asked for may be a quality: "un trasporto refrigerato?"."""
    if kind not in ("asserted", "asked") or not _PARTICIPLE.match(word.core) or word.core in _NO_PARTICIPLES:
        return kind
    return "done" if kind == "asserted" else kind if word.key in _CLASSES else "open"


def _usual(clause: Sequence[_Spoken], *, asks: bool) -> Kind:
    cores = [word.core for word in clause]
    if any(map(_OPENERS.match, cores)):
        return "open"
    if any(core in _GONE for core in cores):
        return "missing"
    to_do = any(one == "da" and _INFINITIVE.match(two) for one, two in pairwise(cores))
    return "asked" if asks or to_do or any(core in _SOFT for core in cores) else "asserted"


def _colours(core: str) -> bool:
    return core in _GONE or core in _SOFT or _OPENERS.match(core) is not None


def _is_idiom(clause: Sequence[_Spoken], place: int) -> bool:
    behind = [word.core for word in clause[place + 1 : place + 3]]
    return behind == ["vedo", "ora"] or not _IDIOMS.isdisjoint(behind[:1])


def _denial(clause: Sequence[_Spoken], place: int) -> Kind:
    """Whether a negation refuses something, misses it, or only supposes it to be missing."""
    before = clause[place - 1].core if place else ""
    if before in _CONDITIONS or clause[place].core == "unless":
        return "open"
    behind = clause[place + 1 : place + 1 + _REACH]
    cores = [word.core for word in behind]
    if any(word.key == "#want" or word.core in _WISHES for word in behind):
        return "missing" if before in _WHYS else "denied"
    having = any(one in _HAVING and two in _ARTICLES for one, two in pairwise(cores))
    lacks = having or any(word.key == "#arrive" or word.core in _LACKS for word in behind)
    return "missing" if lacks or before in _WHYS else "denied"


def _scope(clause: Sequence[_Spoken], place: int) -> Iterator[int]:
    """The places that a negation reaches: itself ("cannot"), the words behind it, and what "non la" takes up again."""
    yield place
    ends = clause[place].core == "no" and place == len(clause) - 1  # "lunedì no"
    if ends or _takes_up(clause[place + 1 : place + 3]):
        yield from range(max(place - _REACH, 0), place)
    if clause[place].stops:
        return
    for behind in range(place + 1, min(place + 1 + _REACH, len(clause))):
        yield behind
        if clause[behind].stops or clause[behind].core in _LIMITERS:
            return


def _takes_up(behind: Sequence[_Spoken]) -> bool:
    """Whether a pronoun stands for what was named before: "la fattura cartacea non la vogliamo"."""
    if behind and behind[0].elided:
        return behind[0].core in _HAVING
    return len(behind) > 1 and behind[0].core in _CLITICS and (behind[1].key in _MODAL or behind[1].core in _HAVING)


def _stems(text: str) -> set[str]:
    return {key for word in read(text) if not word.value for key in word.keys}


def _overlap(mine: set[str], yours: set[str]) -> bool:
    shared = len(mine & yours)
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
