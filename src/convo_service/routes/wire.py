"""The reading of HTTP, with an end: whoever has no key, too, may send only so much before anybody looks at it."""

import json
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from convo_service.errors import HeadersTooLarge
from convo_service.routes import problems

MAX_HEAD_BYTES = 65_536  # of the line, the headers and what else is no body; proxies stop at a quarter of it


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's own, which would keep headers of any length in memory; a body has its limit in `RequestEdge`."""

    _since_a_body = 0  # bytes that came since the last piece of a body, or the end of a request

    def data_received(self, data: bytes) -> None:
        """Read on, and hang up on whoever sends no end of headers, trailers or the like."""
        self._since_a_body += len(data)
        super().data_received(data)
        if self._since_a_body > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._since_a_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._since_a_body = 0
        super().on_message_complete()

    def _refuse(self) -> None:
        """Say why, unless an answer has begun already."""
        if self.cycle is None or self.cycle.response_complete:
            error = HeadersTooLarge()
            said = json.dumps(problems.body(error, "/")).encode()
            phrase = HTTPStatus(error.status_code).phrase
            head = (
                f"HTTP/1.1 {error.status_code} {phrase}\r\ncontent-type: {problems.MEDIA_TYPE}\r\n"
                f"content-length: {len(said)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + said)
        self.transport.close()
