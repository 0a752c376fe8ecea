"""Errors on the wire: RFC 9457 problem details for everything, rendered in one place."""

import json
import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from convo_service import errors
from convo_service.db.faults import is_passing
from convo_service.errors import ConvoError
from convo_service.routes.deps import published_operations
from convo_service.telemetry import crash, failure, get_logger, request_id

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
_OPAQUE_ID = re.compile(r"[a-z]{2,8}_[A-Za-z0-9]+")
_FIELD = re.compile(r"[A-Za-z_]{1,64}")
_PLAIN_PATH = re.compile(r"[a-z/_.-]{1,64}")

# What a framework says with a bare status, in our words.
_BY_STATUS: Mapping[int, type[ConvoError]] = {
    400: errors.InvalidJson,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.PayloadTooLarge,
}
log = get_logger()


def install(app: FastAPI) -> None:
    """Let every error of an app come out as a problem."""
    app.add_exception_handler(ConvoError, _on_known)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    for fault in (OSError, sa.exc.SQLAlchemyError):
        app.add_exception_handler(fault, _on_database_fault)


def problem(error: ConvoError, path: str, details: list[dict[str, Any]] | None = None) -> Response:
    """Render an error. Escaped as ASCII: a field name in `errors` may hold what UTF-8 cannot."""
    return Response(json.dumps(body(error, path, details)), error.status_code, dict(error.headers), MEDIA_TYPE)


def path_of(scope: Scope) -> str:
    """The path of a request with opaque ids only: of a route what was declared, of none what has no data in it."""
    declared = getattr(scope.get("route"), "path", None)
    if declared is None:
        return str(scope["path"]) if _PLAIN_PATH.fullmatch(scope["path"]) else "/"
    ids = {name: str(value) for name, value in scope["path_params"].items() if _OPAQUE_ID.fullmatch(str(value))}
    return re.sub(r"{(\w+)}", lambda found: ids.get(found[1], found[0]), declared)


def known(error: BaseException) -> ConvoError:
    """An error that happened when the answer had begun already, as one that this service answers on purpose."""
    if isinstance(error, ConvoError):
        return error
    passes = isinstance(error, OSError | sa.exc.SQLAlchemyError) and is_passing(error)
    log.error("stream_failed", **(failure(error) if passes else crash(error)))
    return errors.DatabaseUnavailable() if passes else ConvoError()


def body(error: ConvoError, path: str, details: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """What a problem says."""
    said: dict[str, Any] = {
        "type": f"urn:convo-service:problem:{error.code}",
        "title": error.title,
        "status": error.status_code,
        "code": error.code,
        "detail": error.detail,
        "instance": path,
        "request_id": request_id.get() or "",
    }
    if details is not None:
        said["errors"] = details
    if error.turn_id is not None:
        said["turn_id"] = error.turn_id
    return said


async def _on_known(request: Request, error: Exception) -> Response:
    assert isinstance(error, ConvoError)  # noqa: S101 - what it is registered for
    return problem(error, path_of(request.scope))


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return problem(errors.InvalidJson(), path_of(request.scope))
    return problem(errors.InvalidRequest(), path_of(request.scope), [_described(one) for one in found[:MAX_ERRORS]])


def _described(one: Mapping[str, Any]) -> dict[str, Any]:
    """Where and what, never the input itself; a field's name is part of it when nobody would name a field so."""
    where = [str(part) if isinstance(part, int) or _FIELD.fullmatch(part) else "?" for part in one["loc"]]
    return {"loc": where, "code": one["type"], "message": one["msg"]}


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    answer = problem(_BY_STATUS.get(error.status_code, ConvoError)(), path_of(request.scope))
    answer.headers.update(error.headers or {})
    if "Allow" in answer.headers and (known := published_operations(request)):
        # The framework names the methods of one route, and a path has a route for each method.
        answer.headers["Allow"] = ", ".join(sorted(method.upper() for method in known))
    return answer


async def _on_database_fault(request: Request, error: Exception) -> Response:
    if not is_passing(error):
        raise error
    log.error("database_failed", **failure(error))
    return problem(errors.DatabaseUnavailable(), path_of(request.scope))
