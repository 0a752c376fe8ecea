"""The typed async client for gateways and dashboards: httpx and the wire contract, nothing else."""

from convo_service.client.api import ConvoClient
from convo_service.client.events import StreamCut, TurnCompleted, TurnCreated, TurnEvent
from convo_service.client.problems import (
    Conflict,
    Erased,
    Invalid,
    NotAllowed,
    NotFound,
    ProblemError,
    TooMany,
    Unavailable,
)
from convo_service.client.repeating import Patience

__all__ = [
    "Conflict",
    "ConvoClient",
    "Erased",
    "Invalid",
    "NotAllowed",
    "NotFound",
    "Patience",
    "ProblemError",
    "StreamCut",
    "TooMany",
    "TurnCompleted",
    "TurnCreated",
    "TurnEvent",
    "Unavailable",
]
