"""Refusals as errors: each holds the problem document, and its class says what kind of refusal it is."""

import re
from collections.abc import Mapping

import httpx
from pydantic import ValidationError

from convo_service.schemas import Problem

_SECONDS = re.compile("[0-9]{1,9}")


class ProblemError(Exception):
    """The service refused: `problem` says why, `code` is stable, `retry_after` (seconds) says when to come again."""

    def __init__(self, problem: Problem, retry_after: int | None = None) -> None:
        super().__init__(f"{problem.status} {problem.code}: {problem.detail}")
        self.problem = problem
        self.retry_after = retry_after

    @property
    def code(self) -> str:
        """What to decide by."""
        return self.problem.code

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status


class Invalid(ProblemError):
    """400, 413, 422: the request breaks a rule of the contract, and would break it again."""


class NotAllowed(ProblemError):
    """401, 403: no valid key, or one that may not do this."""


class NotFound(ProblemError):
    """404: nothing has this id."""


class Erased(ProblemError):
    """410: the message was erased with the person who wrote it; acknowledge it and do nothing."""


class Conflict(ProblemError):
    """409: somebody else is at it, or an identity is another user's."""


class TooMany(ProblemError):
    """429: nothing of the request is stored; the same one is welcome after `retry_after`."""


class Unavailable(ProblemError):
    """5xx: the service, or what it stands on, does not answer; the same message id may come again."""


_KINDS: Mapping[int, type[ProblemError]] = {
    400: Invalid,
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    410: Erased,
    413: Invalid,
    422: Invalid,
    429: TooMany,
}


def refusal(answer: httpx.Response) -> ProblemError:
    """The error that an answer stands for, once its body has been read."""
    retry_after = answer.headers.get("retry-after", "")
    return of_problem(_problem(answer), int(retry_after) if _SECONDS.fullmatch(retry_after) else None)


def of_problem(problem: Problem, retry_after: int | None = None) -> ProblemError:
    """The error of a problem document."""
    return _KINDS.get(problem.status, Unavailable if problem.status >= 500 else ProblemError)(problem, retry_after)


def _problem(answer: httpx.Response) -> Problem:
    """The service's own words, or the bare status of whoever answered in its place, such as a proxy."""
    try:
        return Problem.model_validate_json(answer.content)
    except ValidationError:
        return Problem(
            type="about:blank",
            title=answer.reason_phrase or "Unknown status",
            status=answer.status_code,
            code=f"http_{answer.status_code}",
            detail="The answer is no problem document; something between here and the service may have given it",
            instance=answer.url.path,
            request_id=answer.headers.get("x-request-id", ""),
        )
