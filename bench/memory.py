"""How much of what a client said stands in the seed of the next conversation, by method and budget; and no lie."""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean, median
from typing import Any

import httpx
from alembic import command

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, only bench/ itself is on the path
from bench import remembering
from bench.lying import Lie, LyingModel
from bench.remembering import Dialogue, Record, Score, Unreadable

from convo_service.app import create_app
from convo_service.db import migrations
from convo_service.db.engine import Database
from convo_service.llm.client import LLMClient
from convo_service.llm.emulator import Emulator
from convo_service.services.keys import Scope
from convo_service.services.sweep import Sweep
from convo_service.settings import Settings
from convo_service.telemetry import configure_logging

BUDGETS = (60, 150, 300, 600)
END = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)  # each dialogue is moved so that it ends here
QUIET = END + timedelta(hours=2)  # the model has read it, the window is still open
STAND_IN = 7  # the script of the emulator where it stands in for a model
EXPECTED = ("values", "open_issues", "promises", "preferences", "negations")
_KNOBS = {
    "key_pepper": "pepper",
    "max_conversation_messages": 1000,
    "summary_min_tokens": 0,
    "idle_summary_after_minutes": 60,
    "user_summaries_per_day": 1000,
    "rate_limit_per_minute": 1_000_000,
    "user_turns_per_minute": 1_000_000,
    "worker_enabled": False,
}


class Failed(Exception):
    """The service did not do its part."""


@dataclass(frozen=True, slots=True)
class Told:
    """A seed, and which texts in it are a model's, with marks of the messages that they cite."""

    record: Record
    by_model: Sequence[tuple[str, frozenset[str]]] = ()


@dataclass(slots=True)
class Used:
    """What the summaries of one model took, by the ledger; `cost_usd` None: its price is not known."""

    model: str
    summaries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    entries: int = 0
    dropped: int = 0

    def add(self, version: dict[str, Any]) -> None:
        """Count one."""
        usage = version["usage"]
        self.summaries += 1
        self.input_tokens += usage["input_tokens"]
        self.output_tokens += usage["output_tokens"]
        cost = usage["cost_usd"]
        self.cost_usd = None if cost is None or self.cost_usd is None else self.cost_usd + cost
        self.entries += sum(len(version[kind]) for kind in ("topics", "open_issues", "preferences", "facts"))
        self.dropped += sum(version["dropped"].values())


@dataclass(slots=True)
class Row:
    """What a method gave at one budget; `invented`, `broken` and `lies` are counts over all dialogues."""

    method: str
    budget: int
    scores: list[Score] = field(default_factory=list)
    by_model: int = 0
    lies: list[Lie] = field(default_factory=list)
    used: Used | None = None  # of a model that is compared

    def shares(self, name: str) -> list[float]:
        """One measure of every dialogue that has it; of what was expected by its own name."""
        found = [
            getattr(one, name) if name in ("values", "words", "all_kept") else one.expected.get(name[9:])
            for one in self.scores
        ]
        return [float(one) for one in found if one is not None]

    def figures(self) -> dict[str, Any]:
        """The row as numbers."""
        names = ("values", "words", "all_kept", *(f"expected_{name}" for name in EXPECTED))
        means = {name: mean(shares) if (shares := self.shares(name)) else None for name in names}
        medians = {f"{name}_median": median(self.shares(name) or [0.0]) for name in ("values", "words")}
        return {
            "method": self.method,
            "budget": self.budget,
            "dialogues": len(self.scores),
            **means,
            **medians,
            "tokens": mean(one.tokens for one in self.scores),
            "fit": len(self.shares("all_kept")),
            "seeds_with_a_model": self.by_model,
            "invented": sum(len(one.invented) for one in self.scores),
            "broken": sum(len(one.broken) for one in self.scores),
            "lies_standing": len(self.lies),
        }


@dataclass(slots=True)
class StillClock:
    """The time as the service sees it."""

    now: datetime = END

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


@dataclass(frozen=True, slots=True)
class Bench:
    """One migrated SQLite file with every dialogue in it, and who said it; each model gets a copy of its own."""

    folder: Path
    dialogues: Sequence[Dialogue]
    language: str
    users: dict[str, str] = field(default_factory=dict)
    current: dict[str, str] = field(default_factory=dict)
    clock: StillClock = field(default_factory=StillClock)

    def settings(self, name: str, **more: object) -> Settings:
        """Settings on a copy of the database."""
        url = f"sqlite+aiosqlite:///{self.folder / name}.db"
        knobs = {**_KNOBS, "summary_language": self.language, "openai_model": None, **more, "database_url": url}
        return Settings(_env_file=None, **knobs)  # type: ignore[arg-type]

    async def play(self) -> None:
        """Say every message once, as a gateway would; all dialogues end at the same time."""
        async with self._http(self.settings("digest")) as (http, _):
            said = [(one, place) for one in self.dialogues for place in range(len(one.messages))]
            for dialogue, place in sorted(said, key=lambda pair: _moved(*pair)):
                await self._say(http, dialogue, place)

    async def sweep(self, name: str, llm: LLMClient, model: str) -> Counter[str]:
        """Let a model write the summaries of a copy."""
        shutil.copy(self.folder / "digest.db", self.folder / f"{name}.db")
        settings = self.settings(name, openai_model=model)
        async with self._http(settings) as (_, database):
            done = await Sweep(database, llm, settings, self.clock).run_once(now=QUIET)
        await llm.close()
        return done

    async def seeds(self, name: str, budget: int) -> dict[str, Told]:
        """The seed of each dialogue's next conversation, as the API shows it."""
        found: dict[str, Told] = {}
        self.clock.now = QUIET
        async with self._http(self.settings(name, summary_tokens=budget)) as (http, _):
            for dialogue in self.dialogues:
                seed = _right(await http.get(f"/users/{self.users[dialogue.name]}/seed"))
                days = {_moved(dialogue, place).date().isoformat() for place in range(len(dialogue.messages))}
                by_model = [
                    (one["text"], frozenset(remembering.mark(quote["text"]) for quote in one["quotes"]))
                    for one in seed["entries"]
                    if one["source"] not in ("digest", "profile")
                ]
                found[dialogue.name] = Told(remembering.read_record(seed["text"], days), by_model)
        return found

    async def used(self, name: str, model: str) -> Used:
        """What a model's summaries took, as the API shows it."""
        used = Used(model)
        async with self._http(self.settings(name)) as (http, _):
            for user_id in self.users.values():
                for version in _right(await http.get(f"/users/{user_id}/summaries"))["data"]:
                    used.add(version)
        return used

    async def _say(self, http: httpx.AsyncClient, dialogue: Dialogue, place: int) -> None:
        message = dialogue.messages[place]
        self.clock.now = _moved(dialogue, place)
        body: dict[str, Any] = {"text": message.text, "sent_at": self.clock.now.isoformat()}
        if message.by_client:
            body["id"] = f"{dialogue.name}.{place}"
            got = await http.post("/conversations", json={"identity": f"bench {dialogue.name}", "message": body})
            conversation = _right(got)["conversation"]
            self.users[dialogue.name], self.current[dialogue.name] = conversation["user_id"], conversation["id"]
        else:
            appended = {"messages": [{**body, "direction": "outbound"}]}
            _right(await http.post(f"/conversations/{self.current[dialogue.name]}/messages", json=appended))

    @asynccontextmanager
    async def _http(self, settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, Database]]:
        with closing(Emulator()) as emulator:
            app = create_app(settings, llm=LLMClient.against(emulator), clock=self.clock)
            async with app.router.lifespan_context(app):
                _, key = await app.state.services.keys.create("bench", Scope.ADMIN, now=self.clock())
                headers = {"Authorization": f"Bearer {key}"}
                transport = httpx.ASGITransport(app=app)
                async with httpx.AsyncClient(transport=transport, base_url="http://convo", headers=headers) as http:
                    yield http, app.state.services.database


def _moved(dialogue: Dialogue, place: int) -> datetime:
    return END - (dialogue.messages[-1].sent_at - dialogue.messages[place].sent_at)


def _right(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise Failed(f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}: {answer.text}")
    return dict(answer.json())


async def measure(bench: Bench, budgets: Sequence[int], lying: LyingModel, models: Sequence[str]) -> list[Row]:
    """Every method at every budget; `models` side by side, on the same dialogues."""
    await bench.play()
    rows = [_row("digest", budget, bench, await bench.seeds("digest", budget)) for budget in budgets]
    for name, make in (("last-N", remembering.last_messages), ("ten keywords", remembering.ten_keywords)):
        rows += [
            _row(name, budget, bench, {one.name: Told(make(one, budget)) for one in bench.dialogues})
            for budget in budgets
        ]
    for number, model in enumerate(models):
        rows += await _of_model(bench, budgets, f"model{number}", model)
    with closing(Emulator(model=lying)) as emulator:
        await _swept(bench, "lying", LLMClient.against(emulator), "emulator")
    rows += [_row("lying model", budget, bench, await bench.seeds("lying", budget), lying) for budget in budgets]
    return rows


async def _of_model(bench: Bench, budgets: Sequence[int], name: str, model: str) -> list[Row]:
    """A model's summaries on a copy of its own. Without a key the emulator stands in for each, with one script."""
    if key := os.environ.get("OPENAI_API_KEY"):
        await _swept(bench, name, LLMClient(api_key=key, base_url=os.environ.get("OPENAI_BASE_URL")), model)
    else:
        with closing(Emulator(model=LyingModel(STAND_IN))) as emulator:
            await _swept(bench, name, LLMClient.against(emulator), model)
    used = await bench.used(name, model)
    rows = [_row(model, budget, bench, await bench.seeds(name, budget)) for budget in budgets]
    for row in rows:
        row.used = used
    return rows


async def _swept(bench: Bench, name: str, llm: LLMClient, model: str) -> None:
    bench.clock.now = QUIET
    done = await bench.sweep(name, llm, model)
    print(f"{name}: {dict(done)} of {len(bench.dialogues)} dialogues", file=sys.stderr)
    if not done["kept"]:
        raise Failed(f"{name}: the sweep kept no summary: {dict(done)}")


def _row(method: str, budget: int, bench: Bench, seeds: dict[str, Told], lying: LyingModel | None = None) -> Row:
    row = Row(method, budget, by_model=sum(bool(one.by_model) for one in seeds.values()))
    row.scores = [remembering.score(one, seeds[one.name].record, budget) for one in bench.dialogues]
    row.lies = [lie for lie in lying.lies if _stands(lie, seeds.values())] if lying else []
    return row


def _stands(lie: Lie, seeds: Iterable[Told]) -> bool:
    """A lie is looked for where its messages are cited: the same words may be true of another one."""
    cited = frozenset(map(remembering.mark, lie.cited))
    return any(
        (ids == cited or (lie.false and ids and ids <= cited)) and remembering.stands(lie.text, lie.false, text)
        for told in seeds
        for text, ids in told.by_model
    )


def table(rows: Sequence[Row], lying: LyingModel, *, has_expected: bool) -> str:
    """A line for each method and budget, and under them what became of the lies."""
    head = ["method", "budget", "tokens", "values", "(median)", "words", "(median)", "all kept", "of digest"]
    head += ["must keep", "issues", "promises", "prefs", "negations"] if has_expected else []
    head += ["invented", "broken", "lies"]
    digest = {row.budget: row.figures()["values"] for row in rows if row.method == "digest"}
    cells = [head, *(_cells(row, digest[row.budget], has_expected) for row in rows)]
    if not any(row.used for row in rows):
        cells.append(["model", "no key", *["-"] * (len(head) - 2)])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    lines += [
        "shares in %: mean over dialogues; all kept: dialogues whose client's values would all fit, and are there"
    ]
    lines += [f"lies: {kind}: {one['told']} told, {one['stand']} stand" for kind, one in _lies(rows, lying).items()]
    return "\n".join(lines + _compared(rows))


def _compared(rows: Sequence[Row]) -> list[str]:
    """What each model's summaries took, and kept."""
    found = {row.used.model: row.used for row in rows if row.used is not None}
    lines = [
        f"{used.model}: {used.summaries} summaries, {used.input_tokens:,} tokens in, {used.output_tokens:,} out, "
        f"{'price unknown' if used.cost_usd is None else f'${used.cost_usd:.4f}'}; "
        f"{used.entries} entries stand, {used.dropped} were dropped"
        for used in found.values()
    ]
    if lines and not os.environ.get("OPENAI_API_KEY"):
        lines.append("no OPENAI_API_KEY: the emulator, with one script, stood in for each; only the prices are theirs")
    return lines


def _cells(row: Row, digest: float | None, has_expected: bool) -> list[str]:
    one = row.figures()
    is_seed = row.used is not None or row.method in ("digest", "lying model")
    cells = [row.method, str(row.budget), f"{one['tokens']:.0f}"]
    cells += [_percent(one[name]) for name in ("values", "values_median", "words", "words_median")]
    cells.append(f"{_percent(one['all_kept'])} ({one['fit']})")
    cells.append(_percent(one["values"] / digest) if one["values"] is not None and digest else "-")
    cells += [_percent(one[f"expected_{name}"]) for name in EXPECTED] if has_expected else []
    cells += [str(one["invented"]), str(one["broken"])] if is_seed else ["-", "-"]
    return [*cells, str(one["lies_standing"]) if row.method == "lying model" else "-"]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _lies(rows: Sequence[Row], lying: LyingModel) -> dict[str, dict[str, int]]:
    """By kind: how many lies were told, and how many stand in a seed of any budget."""
    told = Counter(lie.kind for lie in lying.lies)
    stand = Counter(lie.kind for lie in lying.lies if any(lie in row.lies for row in rows))
    return {kind: {"told": count, "stand": stand[kind]} for kind, count in sorted(told.items())}


def _standing(rows: Sequence[Row]) -> list[str]:
    """The lies that stand and what was invented, once each."""
    found = [f"{lie.kind}: {lie.text!r} (false: {lie.false!r})" for row in rows for lie in row.lies]
    found += [
        f"{row.method}/{row.budget}: invented {value!r}"
        for row in rows
        for one in row.scores
        for value in (*one.invented, *one.broken)
        if row.method not in ("last-N", "ten keywords")
    ]
    return list(dict.fromkeys(found))


def _as_json(rows: Sequence[Row], lying: LyingModel) -> str:
    models = {row.used.model: asdict(row.used) for row in rows if row.used is not None}
    found = {
        "rows": [row.figures() for row in rows],
        "models": models,
        "lies": _lies(rows, lying),
        "standing": _standing(rows),
    }
    return json.dumps(found, indent=2, ensure_ascii=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="one message a line as JSON, with the dialogue it belongs to")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument(
        "--budgets",
        type=lambda text: tuple(map(int, text.split(","))),
        default=BUDGETS,
        help="tokens of a seed (60,150,300,600)",
    )
    parser.add_argument(
        "--models",
        type=lambda text: tuple(text.split(",")),
        default=(os.environ["OPENAI_MODEL"],) if {"OPENAI_API_KEY", "OPENAI_MODEL"} <= os.environ.keys() else (),
        help="models that write the summaries, to be compared; without OPENAI_API_KEY the emulator stands in for each",
    )
    parser.add_argument("--limit", type=int, help="only the first so many dialogues")
    parser.add_argument("--join", type=int, default=1, help="so many dialogues become one, for more than a seed holds")
    parser.add_argument("--language", choices=("it", "en"), default="it", help="SUMMARY_LANGUAGE")
    parser.add_argument("--lying", action="store_true", help="list the lies that stand, and what is invented")
    parser.add_argument("--seed", type=int, default=1, help="another seed tells other lies")
    return parser.parse_args()


def main() -> int:
    """Measure, print, and return 0 only when no seed holds a value that nobody said, nor a line that is no record."""
    given = _arguments()
    configure_logging(level="error")
    lying = LyingModel(given.seed)
    try:
        with given.file.open(encoding="utf-8") as file:
            found = remembering.joined(remembering.dialogues(file, given.limit), given.join)
        with tempfile.TemporaryDirectory() as folder:
            command.upgrade(migrations.config(f"sqlite+aiosqlite:///{folder}/digest.db"), "head")
            rows = asyncio.run(measure(Bench(Path(folder), found, given.language), given.budgets, lying, given.models))
    except (Failed, Unreadable, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    has_expected = any(one.expect for one in found)
    print(_as_json(rows, lying) if given.json else table(rows, lying, has_expected=has_expected))
    if given.lying and not given.json:
        print("\n".join(_standing(rows)))
    judged = [row.figures() for row in rows if row.method in ("digest", "lying model")]
    return 1 if any(one["invented"] or one["broken"] for one in judged) else 0


if __name__ == "__main__":
    sys.exit(main())
