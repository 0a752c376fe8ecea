"""What anybody may send before anybody looks at a key: over a real socket, byte by byte."""

import asyncio
import json

import pytest
from fastapi import FastAPI

from convo_service.routes.wire import MAX_HEAD_BYTES
from tests.gateway import Gateway
from tests.serving import served

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /conversations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
PIECE = b"a" * 8192
PIECES = 64  # half a megabyte, of which a small part is too much


async def answer(url: str, begin: bytes, piece: bytes, end: bytes = b"", *, pieces: int = PIECES) -> tuple[int, bytes]:
    """Send something with a long middle; how many pieces of it were sent, and the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    sent = 0
    try:
        writer.write(begin)
        while sent < pieces:
            sent += 1
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)  # so that it comes in pieces
            if reader.at_eof() or writer.is_closing():
                break
        writer.write(end)
        said = await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        said = b""
    finally:
        writer.close()
    return sent, said


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        pytest.param(GET + b"X-Long: ", PIECE, id="one header without end"),
        pytest.param(GET, b"X-Many: " + PIECE + b"\r\n", id="headers without end"),
        pytest.param(b"GET /" + PIECE, PIECE, id="a path without end"),
        pytest.param(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Late: " + PIECE + b"\r\n", id="trailers without end"),
        pytest.param(CHUNKED + b"2;", PIECE, id="an extension of a chunk without end"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_end(app: FastAPI, begin: bytes, piece: bytes) -> None:
    """What is no body has a limit: soon after it the connection is closed, and others are served."""
    async with served(app) as url:
        sent, said = await answer(url, begin, piece)
        assert sent * len(piece) < 4 * MAX_HEAD_BYTES
        if said:
            assert said.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ", b"HTTP/1.1 401 "))
        if said.startswith(b"HTTP/1.1 431 "):
            head, _, body = said.partition(b"\r\n\r\n")
            assert b"content-type: application/problem+json" in head
            assert json.loads(body)["code"] == "headers_too_large"
        assert (await answer(url, GET + b"Connection: close\r\n\r\n", b"", pieces=0))[1].startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_large_bodies(app: FastAPI, gateway: Gateway) -> None:
    """A body that is as large as it may be, in chunks of any size, and many requests on one connection, pass."""
    key = gateway.http.headers["Authorization"].encode()
    head = CHUNKED.replace(b"Host: x", b"Host: x\r\nConnection: close\r\nAuthorization: " + key)
    text = b"x" * 8000
    body = json.dumps({"identity": "+393331234567", "message": {"id": "w1", "text": text.decode()}}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    async with served(app) as url:
        _, said = await answer(url, head, chunks, b"0\r\n\r\n", pieces=1)
        assert said.startswith(b"HTTP/1.1 201 "), said[:300]
        many = GET + b"X-Long: " + PIECE + b"\r\n\r\n"
        _, said = await answer(url, b"", many, GET + b"Connection: close\r\n\r\n", pieces=20)
        assert said.count(b"HTTP/1.1 200 ") == 21


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_hangs_up(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    """A client that leaves in the middle of its body is no error of ours."""
    async with served(app) as url:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(POST + b"Content-Length: 100\r\n\r\n{")
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.sleep(0.2)
    said = [record.msg["event"] for record in caplog.records if isinstance(record.msg, dict)]
    assert "request_crashed" not in said
