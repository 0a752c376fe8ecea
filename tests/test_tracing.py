"""Traces: a span for each request and each call of OpenAI, with what a metric's labels hold, and no more."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fastapi import FastAPI
from opentelemetry.trace import SpanKind, StatusCode

from convo_service.llm.emulator import Emulator
from convo_service.telemetry import tracing
from tests.canaries import Canaries, watched
from tests.gateway import Gateway, assert_problem
from tests.spans import Spans

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans(canaries: Canaries) -> Spans:
    """Those of this test; the canaries keep them."""
    return canaries.spans


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini"}])
async def test_a_turn(gateway: Gateway, spans: Spans) -> None:
    """A request goes on with its caller's trace, is named by its route, and the calls of OpenAI belong to it."""
    gateway.http.headers["traceparent"] = PARENT
    await gateway.ask("Buongiorno")
    request, create, chat = spans.all
    assert (request.name, request.kind) == ("POST /turns", SpanKind.SERVER)
    assert request.attributes == {
        "http.request.method": "POST", "http.route": "/turns", "http.response.status_code": 200
    }  # fmt: skip
    assert f"{request.parent.span_id:x}" == "b7ad6b7169203331"
    assert [one.name for one in (create, chat)] == ["conversations.create", "chat gpt-5-mini"]
    assert {one.kind for one in (create, chat)} == {SpanKind.CLIENT}
    assert {one.parent.span_id for one in (create, chat)} == {request.get_span_context().span_id}
    assert all(one.ended for one in spans.all)


@pytest.mark.parametrize("env", [{"openai_model": "gpt-5-mini"}])
async def test_a_call_that_fails(gateway: Gateway, emulator: Emulator, spans: Spans) -> None:
    """An error is its class, never its message, and the request of it is an error, too."""
    emulator.fail_next("responses.create", status=500)
    assert_problem(await gateway.turn("Buongiorno"), 503, "upstream_unavailable")
    request, _, chat = spans.all
    assert (chat.status, chat.attributes["error.type"]) == (StatusCode.ERROR, "InternalServerError")
    assert (request.status, request.attributes["http.response.status_code"]) == (StatusCode.ERROR, 503)
    assert [one.events for one in spans.all] == [[], [], []]


async def test_what_is_no_route(gateway: Gateway, spans: Spans) -> None:
    """A path or a method of no standard may hold anything, and stands nowhere."""
    await gateway.http.request("MARIA", "/+393331234567?q=segreto")
    assert [(one.name, one.attributes["http.request.method"]) for one in spans.all] == [("_OTHER", "_OTHER")]


async def test_a_leak(app: FastAPI, gateway: Gateway) -> None:
    """The canaries see what stands in a span."""
    with pytest.raises(AssertionError, match="in a span"), watched() as canaries:  # noqa: PT012 - fails at its end
        canaries.learn({}, b'{"text": "canarino giallo"}')
        with tracing.span("canarino giallo", {}):
            pass


def test_off() -> None:
    """Without a collector nothing is made."""
    tracing.use(None)
    with tracing.span("anything", {}) as span:
        assert span is None
    assert not tracing.is_on()


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """The address of somebody who takes traces, and what came."""
    came: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", came
    server.shutdown()
    server.server_close()
    thread.join()


async def test_sent(collector: tuple[str, list[tuple[str, bytes]]]) -> None:
    """Spans reach the collector, over HTTP, under the service's name."""
    pytest.importorskip("opentelemetry.sdk")
    from convo_service.telemetry import otlp  # noqa: PLC0415 - where the extra is there

    address, came = collector
    provider = otlp.provider(address + "/")
    tracing.use(provider, provider.force_flush)
    with tracing.span("chat gpt-5-mini", {"gen_ai.provider.name": "openai"}):
        pass
    await tracing.finish()
    tracing.use(None)
    provider.shutdown()
    assert [path for path, _ in came] == ["/v1/traces"]
    assert b"chat gpt-5-mini" in came[0][1]
    assert b"convo_service" in came[0][1]
