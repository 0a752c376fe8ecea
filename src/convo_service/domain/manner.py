"""In which manner a text says a word, in Italian and English: a refusal is not a wish, and a wish not a fact."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from convo_service.domain.text import sentences, word_set
from convo_service.domain.words import SILENT, is_negation, look, stem

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
MODAL = frozenset({"#want", "#can"})  # so common that denying one beside another one says little
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


class _Spoken(NamedTuple):
    """One word of a clause."""

    core: str
    key: str  # what it says, by stem; nothing for a function word or a number
    stops: bool  # a mark behind it ends what a negation reaches
    elided: bool  # an "l'" stood before it


def kinds(texts: Iterable[str]) -> dict[str, set[Kind]]:
    """In which ways each word is said: by stem, or by a class of words of one meaning."""
    found: defaultdict[str, set[Kind]] = defaultdict(set)
    for text in texts:
        for sentence in sentences(text):
            for clause in _clauses(sentence):
                for key, kind in _manners(clause, asks=sentence.endswith("?")):
                    found[key].add(kind)
    return dict(found)


def turns(said: Mapping[str, set[Kind]], source: Mapping[str, set[Kind]]) -> bool:
    """Whether a word is said in no way that its source could mean."""
    return any(
        all(_is_turned(key, kind, source[key]) for kind in kinds) for key, kinds in said.items() if key in source
    )


def _is_turned(key: str, kind: Kind, source: set[Kind]) -> bool:
    return source <= _TURNS[kind] and not (key in MODAL and kind != "asserted")


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
    return len(behind) > 1 and behind[0].core in _CLITICS and (behind[1].key in MODAL or behind[1].core in _HAVING)
