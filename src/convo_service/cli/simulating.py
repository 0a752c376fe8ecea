"""The command `simulate`: what other windows would have made of the stored history, in tokens, money and continuity."""

import json
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from convo_service.cli.common import (
    INTERRUPTED,
    instant,
    on_database,
    progress_bar,
    read_settings,
    require_migrated,
    stop,
)

if TYPE_CHECKING:
    from convo_service.domain.simulation import Rules
    from convo_service.services.simulation import Played, Wanted
    from convo_service.settings import Settings

Number = TypeVar("Number", int, float)

HOURS = "24,48,72,96"
MIN_HOURS = 0.01
MAX_HOURS = 24 * 365  # as CONVERSATION_TIMEOUT_HOURS
MAX_COMBINATIONS = 100
MAX_NUMBER = 1_000_000


def simulate(
    timeout_hours: Annotated[
        str, typer.Option(metavar="LIST", help="Windows to compare, in hours, with commas between them.")
    ] = HOURS,
    cap: Annotated[
        str | None, typer.Option(metavar="LIST", help="Caps of messages; else MAX_CONVERSATION_MESSAGES.")
    ] = None,
    seed_tokens: Annotated[
        str | None, typer.Option(metavar="LIST", help="Budgets of seeds, 0 for none; else SUMMARY_TOKENS.")
    ] = None,
    instructions_tokens: Annotated[
        int | None,
        typer.Option(help="Tokens that every prompt begins with; else those of INSTRUCTIONS.", min=0, max=MAX_NUMBER),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model whose price counts; else OPENAI_MODEL.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Count from then on; what was said before is in the prompts.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Leave out what was said then or later.")] = None,
    users: Annotated[int | None, typer.Option(help="So many users, the same ones each time.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay the stored history under other windows: tokens, money and continuity. Nothing is written.

    A reply is a user's message that was answered before the next one.
    Its prompt is the instructions, the seed, what was said in the conversation so far, and the message.
    A token is a quarter of a text's characters, and each item costs four more.
    The prompt before of the same conversation comes from the cache, from 1,024 tokens on, for an hour.
    Money is for prompts alone: answers cost the same everywhere.

    Seeds are those without a model and without notes, with the profiles of today.
    They are really made for a sample of the users (20,000 messages, or all if there are not more).
    Those of the others are estimated: as large as the ones that were made from about as many tokens.
    """
    from convo_service.domain.text import tokens
    from convo_service.services.simulation import Simulation, Wanted

    settings = read_settings()
    wanted = Wanted(
        rules=_combinations(settings, timeout_hours, cap, seed_tokens),
        instructions=tokens(settings.instructions or "") if instructions_tokens is None else instructions_tokens,
        since=instant(since, "--since") if since is not None else None,
        until=instant(until, "--until") if until is not None else None,
        users=users,
    )
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        stop("--since has to be before --until")
    require_migrated(settings)
    try:
        with progress_bar() as watch:
            played = on_database(settings, lambda database: Simulation(database, settings, wanted).run(watch))
    except KeyboardInterrupt:
        stop("Stopped.", status=INTERRUPTED)
    _print(played, wanted, settings, model or settings.openai_model, as_json=as_json)


def _print(played: "Played", wanted: "Wanted", settings: "Settings", model: str | None, *, as_json: bool) -> None:
    from convo_service.cli import comparison
    from convo_service.llm.prices import prices_of

    rows = comparison.rows(played, prices_of(model, settings.openai_base_url) if model else None)
    if as_json:
        typer.echo(json.dumps(comparison.document(played, rows, wanted, model), indent=2))
        return
    for line in comparison.report(played, rows, wanted, model):
        typer.echo(line)


def _combinations(settings: "Settings", hours: str, caps: str | None, budgets: str | None) -> "tuple[Rules, ...]":
    """Every window with every cap and every budget, in the order in which they were given."""
    from datetime import timedelta
    from itertools import product

    from convo_service.domain.simulation import Rules

    cap, budget = settings.max_conversation_messages, settings.summary_tokens if settings.include_summary else 0
    every = product(
        _numbers(hours, "--timeout-hours", float, MIN_HOURS, MAX_HOURS),
        [cap] if caps is None else _numbers(caps, "--cap", int, 1, MAX_NUMBER),
        [budget] if budgets is None else _numbers(budgets, "--seed-tokens", int, 0, MAX_NUMBER),
    )
    found = tuple(Rules(timedelta(hours=window), most, seed) for window, most, seed in every)
    if len(found) > MAX_COMBINATIONS:
        stop(f"{len(found)} combinations are too many: {MAX_COMBINATIONS} at most")
    return found


def _numbers(text: str, option: str, kind: type[Number], least: float, most: float) -> list[Number]:
    """The numbers of a list, each once."""
    try:
        numbers = [kind(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(least <= number <= most for number in numbers):
        stop(f"{option} has to be numbers from {least:,} to {most:,}, with commas between them")
    return list(dict.fromkeys(numbers))
