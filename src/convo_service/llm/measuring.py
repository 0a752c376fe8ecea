"""How long calls to OpenAI take, how they end, and what models use: as OpenTelemetry names it, in metrics and spans."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from convo_service.llm.replies import Reply
from convo_service.telemetry import metrics, tracing

ASKS = "responses.create"  # by the conventions' name: chat


@contextmanager
def measured(operation: str, model: str | None) -> Iterator[None]:
    """Around one call."""
    about = _about(operation, model)
    started = time.monotonic()
    try:
        with tracing.span(" ".join([about["gen_ai.operation.name"], *([model] if model else [])]), about):
            yield
    except Exception as error:
        about["error.type"] = kind = _kind(error)
        metrics.openai_errors.add(1, {"operation": operation, "error.type": kind})
        raise
    finally:
        metrics.model_calls.record(time.monotonic() - started, about)


def counted(reply: Reply, model: str) -> Reply:
    """A reply, with what it used counted."""
    if reply.usage is not None:
        about = _about(ASKS, model)
        metrics.model_tokens.record(reply.usage.input_tokens, {**about, "gen_ai.token.type": "input"})
        metrics.model_tokens.record(reply.usage.output_tokens, {**about, "gen_ai.token.type": "output"})
    return reply


def _about(operation: str, model: str | None) -> dict[str, str]:
    about = {"gen_ai.operation.name": "chat" if operation == ASKS else operation, "gen_ai.provider.name": "openai"}
    return about | ({"gen_ai.request.model": model} if model else {})


def _kind(error: Exception) -> str:
    """The status, else the class: never what a server says, which may be anything."""
    status = getattr(error, "status_code", None)
    return str(status) if isinstance(status, int) else type(error).__name__
