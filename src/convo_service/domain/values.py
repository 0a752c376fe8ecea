"""What a text states to the digit: numbers, codes, amounts, dates, addresses, each in one form."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from convo_service.domain.text import clean, word_set
from convo_service.domain.words import EDGES

# What is written in several ways: the first word is the form that counts.
_UNIT_FORMS = """
    eur € euro euros
    usd $ dollaro dollari dollar dollars
    gbp £ sterlina sterline
    chf franco franchi francs
    % percento percent pct
    ° gradi grado degree degrees
    kg kgs kilo kili kilos chilo chili kilogrammo kilogrammi kilogram kilograms
    g gr grammo grammi gram grams
    q ql qli q.li quintale quintali quintal quintals
    t ton tons tonne tonnes tonnellata tonnellate
    l lt litro litri liter liters litre litres
    ml millilitri
    m mt metro metri meter meters metre metres
    cm centimetro centimetri
    mm millimetro millimetri
    km chilometro chilometri
    mq m2 sqm
    mc m3 cbm
    pz pezzo pezzi pcs piece pieces unità unit units
    pallet pallets bancale bancali pedana pedane europallet
    cartoni cartone carton cartons
    scatole scatola box boxes
    colli collo
    giorni giorno gg day days
    ore ora h hour hours hrs
    minuti minuto min minute minutes
    settimane settimana week weeks
    mesi mese month months
    anni anno year years
    am a.m
    pm p.m
"""
_UNITS = {form: line.split()[0] for line in _UNIT_FORMS.strip().splitlines() for form in line.split()}
_CURRENCIES = word_set("eur usd gbp chf")
_MONTH_FORMS = """
    gennaio january jan gen
    febbraio february feb
    marzo march
    aprile april apr
    maggio may mag
    giugno june jun giu
    luglio july jul lug
    agosto august aug ago
    settembre september sep sept
    ottobre october oct ott
    novembre november nov
    dicembre december dec dic
"""
_MONTHS = {form: n for n, line in enumerate(_MONTH_FORMS.strip().splitlines(), 1) for form in line.split()}
_DAY_OPENERS = word_set(
    """
    il del al dal lunedì lunedi martedì martedi mercoledì mercoledi giovedì giovedi venerdì venerdi sabato domenica
    lun mar mer gio ven sab dom monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun
    """
)
_ENGLISH_MONTHS = {line.split()[1] for line in _MONTH_FORMS.strip().splitlines()} - {"may"}  # "may 25 be too few?"

# Digits (n), letters (a) or either (c) behind the country and its two check digits. Fixed lengths, so that the words
# behind an IBAN in groups are not drawn into it and no search goes on for long.
_IBANS = """
    it 1a10n12c sm 1a10n12c de 18n fr 10n11c2n es 20n gb 4a14n ch 5n12c at 16n nl 4a10n be 12n lu 3n13c pl 24n
    ro 4a16c hr 17n si 15n pt 21n cz 20n sk 20n hu 24n bg 4a6n8c ie 4a14n gr 7n16c dk 14n se 20n
"""
_CLASSES = {"n": "[0-9]", "a": "[a-z]", "c": "[a-z0-9]"}
_BETWEEN = "[ -]{0,3}"


def _iban_pattern(country: str, shape: str) -> str:
    runs = re.findall(r"(\d+)([nac])", f"2n{shape}")
    return country + "".join(f"(?:{_BETWEEN}{_CLASSES[kind]}){{{count}}}" for count, kind in runs)


_LISTED = _IBANS.split()
_IBAN = re.compile(rf"(?<![^\W_])(?:{'|'.join(map(_iban_pattern, _LISTED[::2], _LISTED[1::2]))})(?![^\W_])", re.ASCII)
_FISCAL_CODE = re.compile(r"(?<![^\W_])[a-z]{3} ?[a-z]{3} ?\d\d[a-z]\d\d ?[a-z]\d{3}[a-z](?![^\W_])")
_PER_CENT = re.compile(r"(?<=\d) ?per cento?(?![^\W_])")
_SAME_MARKS = str.maketrans("\u2010\u2011\u2012\u2013\u2014\u2212\u2044\u2018\u2019", "------/''")

# A row of letters and digits; a single mark may stand inside, a comma or a colon between digits only.
_TOKEN = re.compile(r"(?:https?://|www\.)\S+|[€$£%°]|@?[^\W_](?:[^\W_]|[-./_@+](?=[^\W_])|(?<=\d)[,:](?=\d))*+")
_LINK = re.compile(r"https?://|www\.")
_NUMBER = re.compile(r"\d(?:[.,:/-]?\d)*+")
_GLUED = re.compile(r"(\d(?:[.,]?\d)*+)(-?)([^\W\d_]+\d?)")  # 5kg, 30-day, 20m2
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")
_PREFIX = re.compile(
    r"(?:[^\W\d_]{1,4}\.|no)(?=\d)|h(?=\d{1,2}(?:[:.]\d\d)?$)|it(?=\d{11}$)"
)  # n.88, nº88, h9, IT + VAT
_GROUPED_EU = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d{1,2})")
_GROUPED_UK = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d{1,2})")
_GROUPED_TWICE = re.compile(r"\d{1,3}(?:(?:\.\d{3}){2,}|(?:,\d{3}){2,})")
_DECIMAL = re.compile(r"\d+[.,]\d{1,2}")
_TIME = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
_DAY_FIRST = re.compile(r"(\d{1,2})([/.-])(\d{1,2})(?:\2(\d{4}|\d\d))?")
_YEAR_FIRST = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_YEAR = re.compile(r"(?:19|20)\d\d")
_PHONE = re.compile(r"[03]\d{8,10}")
_AREA = re.compile(r"[03]\d{1,3}")
_GROUP_START = re.compile(r"\d+|[a-z]{2}\d\d")
_DIGITS = re.compile(r"\d+")
_GROUP = re.compile(r"\d+|[a-z0-9]{1,4}")
_GAP = re.compile(r"[ ()]{1,3}")
_LONG_PHONE = 13  # digits


class Value(NamedTuple):
    """One value: all that is said of it, and what of it may be said alone."""

    full: str
    parts: tuple[str, ...] = ()


class _Token(NamedTuple):
    text: str
    start: int
    end: int
    numeric: bool  # a number as it is written, or a number and its unit in one
    marked: bool  # a digit or an @ is in it


class _Row(NamedTuple):
    """A cleaned text and its tokens."""

    text: str
    tokens: Sequence[_Token]

    def gap(self, place: int) -> str | None:
        """What stands between a token and the next one; nothing when there is no next one."""
        if not 0 <= place < len(self.tokens) - 1:
            return None
        return self.text[self.tokens[place].end : self.tokens[place + 1].start]

    def beside(self, place: int) -> str:
        """The token directly behind this one, or nothing."""
        return self.tokens[place + 1].text if self.gap(place) in ("", " ") else ""

    def before(self, place: int) -> str:
        """The token directly before this one, or nothing."""
        return self.tokens[place - 1].text if self.gap(place - 1) in ("", " ") else ""


def values(text: str) -> frozenset[str]:
    """Every value of a text, each as far as it is said and as far as it may be said: "50 eur" and "50"."""
    return frozenset(form for value in _found(text) for form in (value.full, *value.parts))


def claims(text: str) -> frozenset[str]:
    """Every value of a text with all that is said of it: what must be among the `values` of its source."""
    return frozenset(value.full for value in _found(text))


def _found(text: str) -> Iterator[Value]:
    row = _row(text)
    place = 0
    while place < len(row.tokens):
        size = _group_size(row, place)
        if size > 1:
            yield _grouped(row, place, size)
        elif row.tokens[place].marked:
            yield from _single(row, place)
        place += size


def _row(text: str) -> _Row:
    text = clean(text).casefold().translate(_SAME_MARKS)
    for pattern in (_IBAN, _FISCAL_CODE):
        text = pattern.sub(lambda found: re.sub("[ -]", "", found.group()), text)
    text = _PER_CENT.sub("%", text)
    return _Row(text, [_token(found) for found in _TOKEN.finditer(text)])


def _token(found: re.Match[str]) -> _Token:
    text = found.group()
    if _LINK.match(text):
        return _Token(text.rstrip(EDGES + "/"), *found.span(), numeric=False, marked=True)
    if "@" not in text:
        text = _PREFIX.sub("", text, count=1) if _PREFIX.match(text) else text
    numeric = _NUMBER.fullmatch(text) is not None
    return _Token(text, *found.span(), numeric=numeric, marked="@" in text or any(map(str.isdigit, text)))


def _group_size(row: _Row, place: int) -> int:
    """How many tokens from here on are one value: a phone number or an account in groups, and one for all else."""
    if not _GROUP_START.fullmatch(row.tokens[place].text):
        return 1
    shape = _DIGITS if row.tokens[place].numeric else _GROUP
    end = place + 1
    while _GAP.fullmatch(row.gap(end - 1) or "") and row.tokens[end].marked and shape.fullmatch(row.tokens[end].text):
        end += 1
    if end - place > 1 and (_unit(row, end - 1) or _month(row, end - 1)):
        end -= 1  # "333 123 4567 50 kg": a number with a unit is one by itself
    size = end - place
    if size > 2 or (size == 2 and (_has_plus(row, place) or _is_phone(row, place))):
        return size
    return 1


def _is_phone(row: _Row, place: int) -> bool:
    area, number = row.tokens[place].text, row.tokens[place + 1].text
    return _AREA.fullmatch(area) is not None and len(number) > 4 and _PHONE.fullmatch(area + number) is not None


def _has_plus(row: _Row, place: int) -> bool:
    return row.text[max(row.tokens[place].start - 1, 0)] == "+"


def _grouped(row: _Row, place: int, size: int) -> Value:
    groups = [token.text for token in row.tokens[place : place + size]]
    whole = _phone("".join(groups), plus=_has_plus(row, place))
    return whole if size > 2 or _has_plus(row, place) else Value(whole.full, (*whole.parts, *groups))


def _phone(digits: str, *, plus: bool) -> Value:
    """A number with the country before it; that of Italy may be left out."""
    if digits.startswith("00") and len(digits) >= _LONG_PHONE:
        digits, plus = digits[2:], True
    return Value(digits, (digits[2:],) if plus and digits.startswith("39") else ())


def _single(row: _Row, place: int) -> Iterator[Value]:
    token = row.tokens[place]
    if place and token.text in _UNITS and row.tokens[place - 1].numeric and _unit(row, place - 1):
        return  # the "m2" of "20 m2" is no number
    if ordinal := _ORDINAL.fullmatch(token.text):
        yield _spelled_date(row, place, ordinal[1]) or Value(f"{ordinal[1]}th")
    elif glued := _glued(token.text):
        yield glued
    elif token.numeric:
        yield from _number(row, place)
    else:
        yield Value(token.text)


def _glued(text: str) -> Value | None:
    found = _GLUED.fullmatch(text)
    if found is None or found[3] not in _UNITS or (found[2] and len(found[3]) == 1):
        return None
    amount = _amount(found[1])
    # "500g" may be a weight and "4711L" a code: it is not cut down to its number.
    return Value(f"{amount} {_UNITS[found[3]]}", (amount,) if len(found[3]) > 1 else ())


def _number(row: _Row, place: int) -> Iterator[Value]:
    text = row.tokens[place].text
    date = _date(text) or _spelled_date(row, place, text)
    if date is not None:
        yield date
        return
    if _is_joined(text) or _has_plus(row, place):
        yield _phone(re.sub(r"\D", "", text), plus=_has_plus(row, place))
        return
    amount = _amount(text)
    units = {unit for unit in (_unit(row, place), _currency_before(row, place)) if unit}
    for unit in sorted(units):
        yield Value(f"{_signed(row, place, amount) if unit == '°' else amount} {unit}", (amount,))
    if not units:
        day = _day_of_month(amount) if row.before(place) in _DAY_OPENERS else ()
        yield Value(day[0], (amount,)) if day else Value(amount)


def _is_joined(text: str) -> bool:
    """Whether the marks in a number only part its groups: 333-123-4567, 02/12345678."""
    if re.fullmatch(r"\d+(?:-\d+){2,}", text):
        return True
    return re.fullmatch(r"\d+[-/]\d+|\d+(?:\.\d+){2,}", text) is not None and bool(
        _PHONE.fullmatch(re.sub(r"\D", "", text)) and not _GROUPED_TWICE.fullmatch(text)
    )


def _signed(row: _Row, place: int, amount: str) -> str:
    """With its minus, which a list may set before anything else than degrees."""
    return f"-{amount}" if row.text[max(row.tokens[place].start - 1, 0)] == "-" else amount


def _unit(row: _Row, place: int) -> str:
    """The unit directly behind a number; no article ("5 l'ho preso"), and no "ore" that belongs to the next number."""
    unit = _UNITS.get(row.beside(place), "")
    if not unit or row.text.startswith("'", row.tokens[place + 1].end):
        return ""
    following = place + 2 < len(row.tokens) and row.gap(place + 1) in ("", " ") and row.tokens[place + 2].numeric
    if following and unit == "ore":
        return ""
    is_glued_on = following and unit in _CURRENCIES and row.gap(place + 1) == "" and row.gap(place) == " "
    return "" if is_glued_on else unit


def _currency_before(row: _Row, place: int) -> str:
    """The currency of "€ 50"; with numbers on both sides it may be of both, unless a blank or a unit decides."""
    unit = _UNITS.get(row.before(place), "")
    if unit not in _CURRENCIES:
        return ""
    is_taken = place > 1 and row.tokens[place - 2].numeric and _unit(row, place - 2) != ""
    return "" if is_taken and (_unit(row, place) or row.gap(place - 2) == "") else unit


def _amount(text: str) -> str:
    """1.250,00 is 1250 and 2,50 is 2.50; 1.250 may be a thousand or one and a quarter, so it is left alone."""
    if time := _TIME.fullmatch(text):
        return str(int(time[1])) + ("" if time[2] == "00" else f":{time[2]}")
    if _GROUPED_EU.fullmatch(text):
        text = text.replace(".", "")
    elif _GROUPED_UK.fullmatch(text):
        text = text.replace(",", "")
    elif _GROUPED_TWICE.fullmatch(text):
        return re.sub("[.,]", "", text)
    return text.replace(",", ".").removesuffix(".00") if _DECIMAL.fullmatch(text) else text


def _date(text: str) -> Value | None:
    if found := _YEAR_FIRST.fullmatch(text):
        return _day(found[3], int(found[2]), found[1])
    found = _DAY_FIRST.fullmatch(text)
    if found is None or (found[2] != "/" and not found[4]):
        return None  # 10-12 is a range, 14.30 a time or a price
    return _day(found[1], int(found[3]), found[4] or "")


def _spelled_date(row: _Row, place: int, day: str) -> Value | None:
    month = _month(row, place)
    if month is None:
        return None
    behind = place + 1 + (row.beside(place) in ("di", "of"))
    year = row.beside(behind) if month[1] else row.beside(place)
    return _day(day, month[0], year if _YEAR.fullmatch(year) else "")


def _month(row: _Row, place: int) -> tuple[int, bool] | None:
    """The month beside a day, and whether it stands behind it."""
    behind = row.beside(place)
    if behind in ("di", "of"):
        behind = row.beside(place + 1)
    if behind in _MONTHS:
        return _MONTHS[behind], True
    before = row.before(place)
    return (_MONTHS[before], False) if before in _ENGLISH_MONTHS and not _unit(row, place) else None


def _day(day: str, month: int, year: str) -> Value | None:
    if not (day.isdecimal() and len(day) < 3 and 1 <= int(day) <= 31 and 1 <= month <= 12):
        return None
    short = f"{int(day)}/{month}"
    if not year:
        return Value(short, _day_of_month(day))
    year = year if len(year) == 4 else f"20{year}"
    return Value(f"{short}/{year}", (short, year, *_day_of_month(day)))


def _day_of_month(day: str) -> tuple[str, ...]:
    """The day alone, as "the 4th" says it: it backs no bare 4, which may be an hour or a quantity."""
    return (f"{int(day)}th",) if day.isdecimal() and len(day) < 3 and 1 <= int(day) <= 31 else ()
