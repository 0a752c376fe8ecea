"""How the dashboard writes: numbers, times, texts in two languages, marked words; and the files it ships."""

import re
import string
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from convo_service.dashboard import formats, pages
from convo_service.dashboard.formats import Language
from convo_service.dashboard.highlight import marked
from convo_service.dashboard.pages import Manner
from convo_service.dashboard.texts import TEXTS

ROME = ZoneInfo("Europe/Rome")
NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)  # the day on which summer time begins there
FOLDER = Path(str(files("convo_service.dashboard")))
IN_NAMES = re.compile(r"""\bt\(\s*"([a-z0-9_]+)\"\s*[,)]""")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(formats.number(33455, "it"), "33.455", id="it: thousands"),
        pytest.param(formats.number(33455, "en"), "33,455", id="en: thousands"),
        pytest.param(formats.number(-1234.5, "it", 1), "\u22121.234,5", id="it: less than nothing"),
        pytest.param(formats.number(-0.2, "en"), "0", id="no minus before nothing"),
        pytest.param(formats.percent(0.724, "it"), "72\u202f%", id="it: a share"),
        pytest.param(formats.percent(-0.13, "en"), "\u221213%", id="en: a negative share"),
        pytest.param(formats.money(8.824, "it"), "8,82\u202f$", id="it: money"),
        pytest.param(formats.money(0.0171, "en"), "$0.0171", id="en: small money"),
        pytest.param(formats.money(-2, "en"), "\u2212$2.00", id="en: a loss"),
        pytest.param(formats.money(0, "en"), "$0.00", id="en: nothing"),
        pytest.param(formats.seconds(1430, "it"), "1,4\u202fs", id="it: seconds"),
        pytest.param(formats.short(999, "en"), "999", id="short: small"),
        pytest.param(formats.short(33455, "en"), "33k", id="short: thousands"),
        pytest.param(formats.short(1_500_000, "it"), "1,5M", id="short: millions"),
        pytest.param(formats.clock(NOW, ROME), "14:00", id="summer time"),
        pytest.param(formats.clock(NOW - timedelta(hours=12), ROME), "01:00", id="winter time"),
        pytest.param(formats.day(NOW, "it", ROME, now=NOW), "dom 29 mar", id="it: a day of this year"),
        pytest.param(formats.day(NOW, "en", ROME), "Sun 29 Mar 2026", id="en: a day"),
        pytest.param(formats.recent(NOW - timedelta(hours=14), "it", ROME, now=NOW), "28 mar", id="yesterday, there"),
        pytest.param(formats.recent(NOW - timedelta(days=400), "it", ROME, now=NOW), "22 feb 2025", id="long ago"),
        pytest.param(formats.duration(timedelta(minutes=1), "it"), "1 minuto", id="it: a minute"),
        pytest.param(formats.duration(timedelta(hours=71, minutes=59), "it"), "71 ore", id="it: hours"),
        pytest.param(formats.duration(timedelta(hours=72), "en"), "3 days", id="en: days"),
        pytest.param(formats.duration(timedelta(seconds=-5), "en"), "0 minutes", id="clocks that differ"),
    ],
)
def test_formats(made: str, expected: str) -> None:
    """Numbers and times look as readers of a language write them, in their zone."""
    assert made == expected


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        pytest.param("it-IT,it;q=0.9,en;q=0.8", "it", id="Italian first"),
        pytest.param("de,en;q=0.7,it;q=0.3", "en", id="English before Italian"),
        pytest.param("it;q=0,en", "en", id="no Italian, please"),
        pytest.param("fr", "en", id="neither"),
        pytest.param("", "en", id="nothing"),
        pytest.param("it;q=x,,;", "en", id="nonsense"),
    ],
)
def test_the_browsers_language(accepted: str, language: Language) -> None:
    """Italian or English, whichever the browser would rather have."""
    assert formats.preferred(accepted) == language


@pytest.mark.parametrize(
    ("text", "q", "found"),
    [
        pytest.param("La farina è finita", "farina", ["farina"], id="a word"),
        pytest.param("Perché la FARINA?", "perche farin", ["Perché", "FARIN"], id="accents, capitals, a beginning"),
        pytest.param("infarinata", "farina", [], id="not in the middle of a word"),
        pytest.param("ﬁne ẞ İ x farina", "farina", ["farina"], id="letters that are several when folded"),
        pytest.param("a.b*c (d)", "a.b* (d)", ["a", "b", "d"], id="nothing is syntax"),
        pytest.param("parola", "...", [], id="no word"),
    ],
)
def test_marked_words(text: str, q: str, found: list[str]) -> None:
    """Words that were looked for are marked where they stand, and nothing of the text is lost."""
    parts = marked(text, q)
    assert [part for part, is_found in parts if is_found] == found
    assert "".join(part for part, _ in parts) == text


def test_the_stretch_around_a_word() -> None:
    """Of a long message the part that was found is shown."""
    parts = marked("x " * 400 + "farina" + " y" * 400, "farina")
    assert ("farina", True) in parts
    assert sum(len(part) for part, _ in parts) < 300
    assert parts[0] == ("…", False)


def test_texts_are_whole() -> None:
    """Each text has the same names to fill in in both languages, and every text that a template names is there."""

    def names(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert [key for key, (italian, english) in TEXTS.items() if names(italian) != names(english)] == []
    used = {key for path in FOLDER.glob("templates/*.html") for key in IN_NAMES.findall(path.read_text())}
    assert len(used) > 100
    assert used <= TEXTS.keys()


def test_nothing_is_inline() -> None:
    """No template has a style, a handler, a script of its own, or an address elsewhere."""
    for path in FOLDER.glob("templates/*.html"):
        source = path.read_text()
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style|<script(?! src=\"\{\{ asset)|\|\s*safe|https?://", source), (
            path
        )


@pytest.mark.parametrize("folder", [FOLDER / "static" / "lib", Path(__file__).parents[1] / "browser" / "lib"])
def test_files_of_others_are_as_they_were_published(folder: Path) -> None:
    """Each file of others is in the list beside it, with package, version, licence and hash, and is that file."""
    rows = re.findall(
        r"^\| (\S+) \| (\S+ \d[\d.]+) \| ([^|]+) \| `(\w{64})` \|$", (folder / "README.md").read_text(), re.M
    )
    assert {name: digest for name, _, _, digest in rows} == {
        path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.suffix in (".js", ".css")
    }
    for _, _, licence, _ in rows:
        assert (folder / licence.strip().rpartition(" ")[2]).is_file()


def test_every_file_has_a_type() -> None:
    """What lies in the folder for browsers is served, and nothing else."""
    static = FOLDER / "static"
    there = {str(path.relative_to(static)) for path in static.rglob("*.*") if path.suffix in (".js", ".css", ".svg")}
    assert there == set(pages.TYPES)


def test_a_name_that_nobody_gave_is_an_error() -> None:
    """A template that prints what it was not given fails in a test and not as a gap in a page."""
    with pytest.raises(Exception, match="undefined"):
        pages.render("error.html", Manner("it", ROME, NOW), {})


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Maria Bianchi", "MB"), ("maria", "M"), ("+39 333 1234567", "67"), ("IT.1349", "I"), ("", "?"), ("…", "?")],
)
def test_initials(name: str, letters: str) -> None:
    """Two letters, or digits, that stand for somebody."""
    assert pages.initials(name) == letters
