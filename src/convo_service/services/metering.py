"""What of the rows that were written is counted for operators: called when they are committed."""

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.committed import once_committed
from convo_service.db.models import ModelCall
from convo_service.domain.window import Reason
from convo_service.telemetry import metrics


def closed(tx: AsyncSession, reason: Reason, done: sa.Result[Any]) -> None:
    """An update closed conversations, or found none that was open."""
    count = int(done.rowcount)  # type: ignore[attr-defined]
    if count > 0:
        once_committed(tx, lambda: metrics.closed.add(count, {"reason": reason.value}))


def opened(reason: Reason, seed: dict[str, Any] | None) -> None:
    """A conversation was opened, with what seed it has."""
    metrics.opened.add(1, {"reason": reason.value})
    made = seed if seed is not None and seed["text"] else {}
    metrics.seeds.record(made.get("tokens", 0), {"generator": made.get("generator", "none")})


def entered(tx: AsyncSession, call: ModelCall) -> None:
    """A call of a model stands in the ledger."""
    once_committed(tx, lambda: called(call))


def called(call: ModelCall) -> None:
    """The same, when it is committed already."""
    kind, read = call.kind, call.input_tokens or 0
    metrics.tokens.add(read, _of_tokens(kind, "input"))
    metrics.tokens.add(call.cached_input_tokens or 0, _of_tokens(kind, "cached_input"))
    metrics.tokens.add(call.output_tokens or 0, _of_tokens(kind, "output"))
    metrics.cost.add(call.cost_usd or 0, {"kind": kind})
    if call.baseline_input_tokens is not None:
        metrics.tokens.add(call.baseline_input_tokens, _of_tokens(kind, "baseline_input"))
        metrics.saved.add(call.baseline_input_tokens - read)
    if call.baseline_cost_usd is not None:
        metrics.cost.add(call.baseline_cost_usd, {"kind": "baseline"})


@cache
def _of_tokens(kind: str, type_: str) -> dict[str, str]:
    return {"kind": kind, "type": type_}
