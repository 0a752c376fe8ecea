"""Numbers, money, dates and durations, as Italians and English readers write them."""

from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Language = Literal["it", "en"]

WEEKDAYS = {
    "it": ("lun", "mar", "mer", "gio", "ven", "sab", "dom"),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
MONTHS = {
    "it": ("gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic"),
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
}
UNITS = {
    "it": {"day": ("giorno", "giorni"), "hour": ("ora", "ore"), "minute": ("minuto", "minuti")},
    "en": {"day": ("day", "days"), "hour": ("hour", "hours"), "minute": ("minute", "minutes")},
}
HOUR = 3600
DAY = 24 * HOUR
LONG_HOURS = 72  # from so many hours on a duration is told in days
NARROW = "\u202f"
MINUS = "\u2212"
NOTHING = "\u2013"  # in the place of a figure


def number(value: float, language: Language, digits: int = 0) -> str:
    """33455 as 33.455 or 33,455."""
    text = f"{abs(value):,.{digits}f}"
    if language == "it":
        text = text.translate(str.maketrans(",.", ".,"))
    return f"{MINUS}{text}" if value < 0 and text.strip("0.,") else text


def short(value: float, language: Language) -> str:
    """33455 as 33 mila or 33k: for axes and narrow places."""
    for unit, sign in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return number(value / unit, language, 0 if abs(value) >= 10 * unit else 1) + sign
    return number(value, language)


def percent(share: float, language: Language) -> str:
    """0.72 as 72 % or 72%."""
    return number(share * 100, language) + (f"{NARROW}%" if language == "it" else "%")


def money(usd: float, language: Language) -> str:
    """US dollars; of small sums the first digits that say anything."""
    digits = 2 if abs(usd) >= 1 or usd == 0 else 4
    text = number(abs(usd), language, digits)
    return (MINUS if usd < 0 else "") + (f"{text}{NARROW}$" if language == "it" else f"${text}")


def seconds(milliseconds: float, language: Language) -> str:
    """1430 as 1,4 s."""
    return f"{number(milliseconds / 1000, language, 1)}{NARROW}s"


def clock(at: datetime, zone: ZoneInfo) -> str:
    """The time of the day."""
    return f"{at.astimezone(zone):%H:%M}"


def day(at: datetime, language: Language, zone: ZoneInfo, *, now: datetime | None = None) -> str:
    """Mon 2 Mar, with the year when it is another one than now's."""
    local = at.astimezone(zone)
    text = f"{WEEKDAYS[language][local.weekday()]} {local.day} {MONTHS[language][local.month - 1]}"
    same_year = now is not None and now.astimezone(zone).year == local.year
    return text if same_year else f"{text} {local.year}"


def moment(at: datetime, language: Language, zone: ZoneInfo, *, now: datetime | None = None) -> str:
    """Mon 2 Mar, 09:00."""
    return f"{day(at, language, zone, now=now)}, {clock(at, zone)}"


def recent(at: datetime, language: Language, zone: ZoneInfo, *, now: datetime) -> str:
    """The time for today, else the day: as a messenger's list has it."""
    if at.astimezone(zone).date() == now.astimezone(zone).date():
        return clock(at, zone)
    local = at.astimezone(zone)
    text = f"{local.day} {MONTHS[language][local.month - 1]}"
    return text if local.year == now.astimezone(zone).year else f"{text} {local.year}"


def duration(length: timedelta, language: Language) -> str:
    """Minutes, hours up to three days, then days; rounded down."""
    total = max(int(length.total_seconds()), 0)
    if total >= LONG_HOURS * HOUR:
        return _counted(total // DAY, "day", language)
    if total >= HOUR:
        return _counted(total // HOUR, "hour", language)
    return _counted(total // 60, "minute", language)


def _counted(count: int, unit: str, language: Language) -> str:
    one, many = UNITS[language][unit]
    return f"{number(count, language)} {one if count == 1 else many}"


def preferred(accepted: str) -> Language:
    """The language of an Accept-Language header: Italian or English, whichever comes first by weight; else English."""
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepted.split(",")[:20]):
        name, _, weight = part.strip().partition(";q=")
        ranked.append((-_weight(weight), place, name.strip().lower()[:2]))
    for rank, _, name in sorted(ranked):
        if rank < 0 and name in ("it", "en"):
            return "it" if name == "it" else "en"
    return "en"


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
