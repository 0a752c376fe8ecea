"""Sending spans to a collector: the only module that loads OpenTelemetry's SDK, and loaded only when it is wanted."""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from convo_service.telemetry.tracing import NAME


def provider(endpoint: str) -> TracerProvider:
    """Who makes spans and sends them, over OTLP and HTTP, in a thread; what is left goes when the process ends."""
    made = TracerProvider(resource=Resource.create({SERVICE_NAME: NAME}))
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    return made
