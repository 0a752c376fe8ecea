"""Renders pages: one environment of templates, loaded with the first page, and what every template may call."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from convo_service.dashboard import formats
from convo_service.dashboard.formats import Language
from convo_service.dashboard.texts import TEXTS

if TYPE_CHECKING:
    from jinja2 import Environment

TYPES: Mapping[str, str] = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "lib/htmx.min.js": "text/javascript; charset=utf-8",
    "lib/uPlot.iife.min.js": "text/javascript; charset=utf-8",
    "lib/uPlot.min.css": "text/css; charset=utf-8",
}


@cache
def asset(name: str) -> bytes:
    """A file of the browser's, read once; `name` is a key of TYPES."""
    return files("convo_service.dashboard").joinpath("static", name).read_bytes()


@cache
def asset_version(name: str) -> str:
    """So that a browser may keep a file for ever, and gets another one when it changes."""
    return sha256(asset(name)).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Manner:
    """How one reader is written to: language, zone, and what time it is."""

    language: Language
    zone: ZoneInfo
    now: datetime

    def text(self, key: str, /, **values: object) -> str:
        """A text in the reader's language; it is escaped where it is printed."""
        return TEXTS[key][0 if self.language == "it" else 1].format(**values)

    def number(self, value: float, digits: int = 0) -> str:
        """A number."""
        return formats.number(value, self.language, digits)

    def short(self, value: float) -> str:
        """A number in few characters."""
        return formats.short(value, self.language)

    def percent(self, share: float) -> str:
        """A share."""
        return formats.percent(share, self.language)

    def money(self, usd: float) -> str:
        """US dollars."""
        return formats.money(usd, self.language)

    def seconds(self, milliseconds: float) -> str:
        """A short time."""
        return formats.seconds(milliseconds, self.language)

    def clock(self, at: datetime) -> str:
        """The time of the day."""
        return formats.clock(at, self.zone)

    def day(self, at: datetime) -> str:
        """A date."""
        return formats.day(at, self.language, self.zone, now=self.now)

    def moment(self, at: datetime) -> str:
        """A date and time."""
        return formats.moment(at, self.language, self.zone, now=self.now)

    def recent(self, at: datetime) -> str:
        """The time when it is today, else the date."""
        return formats.recent(at, self.language, self.zone, now=self.now)

    def duration(self, length: timedelta) -> str:
        """A length of time."""
        return formats.duration(length, self.language)

    def minutes(self, count: int) -> str:
        """A number of minutes, in the unit that fits."""
        return self.duration(timedelta(minutes=count))

    def age(self, at: datetime) -> str:
        """How long ago."""
        return self.duration(self.now - at)


@cache
def environment() -> "Environment":
    """The templates; a name that is not given is an error, and every value is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("convo_service.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["asset"] = lambda name: f"/dashboard/static/{name}?v={asset_version(name)}"
    made.filters["initials"] = initials
    return made


def render(template: str, manner: Manner, values: Mapping[str, Any]) -> str:
    """A page or a part of one."""
    return environment().get_template(template).render(m=manner, t=manner.text, **values)


def initials(name: str) -> str:
    """At most two letters that stand for a name; of a number its last two digits."""
    words = [word for word in name.split() if word[0].isalpha()]
    if not words:
        return "".join(char for char in name if char.isdigit())[-2:] or "?"
    return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()
