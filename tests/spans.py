"""A provider of spans that keeps them, of OpenTelemetry's API alone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, SpanKind, StatusCode, TraceFlags, Tracer, TracerProvider


class Kept(Span):
    """Remembers all that it is told."""

    def __init__(self, name: str, number: int, parent: SpanContext, kind: SpanKind, attributes: Any) -> None:
        self.name, self.parent, self.kind = name, parent, kind
        self.attributes: dict[str, Any] = dict(attributes or {})
        self.events: list[Any] = []
        self.status: Any = StatusCode.UNSET
        self.ended = False
        trace_id = parent.trace_id if parent.is_valid else number
        self._context = SpanContext(trace_id, number, is_remote=False, trace_flags=TraceFlags(1))

    def get_span_context(self) -> SpanContext:
        """Which it is."""
        return self._context

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Several."""
        self.attributes.update(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        """One."""
        self.attributes[key] = value

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:  # noqa: ARG002
        """Something in the middle."""
        self.events.append((name, attributes))

    def record_exception(self, exception: BaseException, *_: Any, **__: Any) -> None:
        """What the SDK makes of an error: its message, too."""
        self.events.append(repr(exception))

    def update_name(self, name: str) -> None:
        """Another name."""
        self.name = name

    def is_recording(self) -> bool:
        """Always."""
        return True

    def set_status(self, status: Any, description: str | None = None) -> None:
        """How it went."""
        self.status = status
        if description is not None:
            self.events.append(description)

    def end(self, end_time: int | None = None) -> None:  # noqa: ARG002
        """It is over."""
        self.ended = True

    @property
    def told(self) -> str:
        """All that a collector would learn."""
        return f"{self.name} {self.attributes} {self.events}"


class Spans(TracerProvider, Tracer):
    """All spans that were begun."""

    def __init__(self) -> None:
        self.all: list[Kept] = []

    def get_tracer(self, *_: Any, **__: Any) -> Tracer:
        """Itself."""
        return self

    def start_span(
        self, name: str, context: Context | None = None, kind: SpanKind = SpanKind.INTERNAL, attributes: Any = None,
        *_: Any, **__: Any,
    ) -> Kept:  # fmt: skip
        """Begin one."""
        parent = trace.get_current_span(context).get_span_context()
        self.all.append(Kept(name, len(self.all) + 1, parent, kind, attributes))
        return self.all[-1]

    @contextmanager
    def start_as_current_span(  # type: ignore[override]
        self, name: str, context: Context | None = None, kind: SpanKind = SpanKind.INTERNAL, attributes: Any = None,
        **how: bool,
    ) -> Iterator[Kept]:  # fmt: skip
        """Begin one that others belong to."""
        made = self.start_span(name, context, kind, attributes)
        with trace.use_span(made, end_on_exit=True, **how):
            yield made
