"""Traces: none, unless `otlp` is told where to send them.

A span holds what a metric's labels hold: no text, no path, no query, no message of an error, all of which FastAPI's own
spans would.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from convo_service.telemetry.metrics import known

NAME = "convo_service"
TRACEPARENT = "traceparent"
SERVER_ERROR = 500
FLUSH_MILLISECONDS = 2000
_UNTRACED = nullcontext(None)

Attributes = Mapping[str, str | int]


class _Tracing:
    tracer: Tracer | None = None
    flush: Callable[[int], object] | None = None


def use(provider: TracerProvider | None, flush: Callable[[int], object] | None = None) -> None:
    """Send the spans of this process there from now on; None: nowhere.

    `flush` sends what waits, within so many milliseconds.
    """
    _Tracing.tracer, _Tracing.flush = provider.get_tracer(NAME) if provider is not None else None, flush


async def finish() -> None:
    """Send what waits, before a signal ends the process."""
    if _Tracing.flush is not None:
        await asyncio.to_thread(_Tracing.flush, FLUSH_MILLISECONDS)


def is_on() -> bool:
    """Whether anybody looks at spans."""
    return _Tracing.tracer is not None


def span(name: str, attributes: Attributes) -> AbstractContextManager[Span | None]:
    """A call of somebody else, while the block runs."""
    if _Tracing.tracer is None:
        return _UNTRACED
    return _span(_Tracing.tracer, name, attributes, SpanKind.CLIENT, None)


def request(method: str, parent: str | None) -> AbstractContextManager[Span | None]:
    """A request, while the block runs; `parent` is what its caller says in `traceparent`."""
    if _Tracing.tracer is None:
        return _UNTRACED
    method = known(method)
    return _span(_Tracing.tracer, method, {"http.request.method": method}, SpanKind.SERVER, parent)


def end_request(span: Span, method: str, route: str | None, status: int) -> None:
    """Name a request by its route, as it is declared, and say what it was answered."""
    span.set_attribute("http.response.status_code", status)
    if route is not None:
        span.set_attribute("http.route", route)
        span.update_name(f"{known(method)} {route}")
    if status >= SERVER_ERROR:
        span.set_status(StatusCode.ERROR)


@contextmanager
def _span(
    tracer: Tracer, name: str, attributes: Attributes, kind: SpanKind, parent: str | None
) -> Iterator[Span | None]:
    context = TraceContextTextMapPropagator().extract({TRACEPARENT: parent}) if parent else None
    with tracer.start_as_current_span(
        name, context, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_attribute("error.type", type(error).__name__)
            current.set_status(StatusCode.ERROR)
            raise
