"""The published contract: FastAPI's document, with our problems, examples, and this installation's limits in it."""

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from convo_service import schemas
from convo_service.routes import problems

# By the name of the schema; a test says which is missing.
EXAMPLES = Path(schemas.__file__).with_name("examples.json")
LIST = "ListOf_"
TAGS = {
    "conversations": "The windows: get or create, append, close, and their history.",
    "turns": "The whole exchange: a message in, the reply out.",
    "messages": "What was said, searched; edits and revocations.",
    "users": "People, by name, company or identity.",
    "privacy": "Export, erasure and merge of a person's data.",
    "profiles": "What is known of a client.",
    "notes": "Open issues, preferences and notes.",
    "seeds": "What the next conversation starts with, and an operator's say in it.",
    "adapters": "Gateways that are set up, and not programmed.",
    "templates": "What a kind of conversation is opened with.",
    "topics": "What messages of a topic are about, and its template.",
    "commands": "What users may write.",
    "analytics": "What goes on, and what windows save.",
    "health": "Whether the service is well.",
}
# What may be as long as a message.
TEXTS = (
    ("InboundMessage", "text"),
    ("AppendedMessage", "text"),
    ("MessageEdit", "text"),
    ("NamedMessageEdit", "text"),
    ("EvolutionMessage", "query"),
)
ABOUT: dict[str, Any] = {
    "contact": {"name": "Whoever runs this installation"},
    "servers": [{"url": "/", "description": "This installation"}],
}


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an app, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
            **ABOUT,
        )
        shapes = made["components"]["schemas"]
        shapes.pop("HTTPValidationError", None)
        shapes.pop("ValidationError", None)
        shapes["Problem"] = schemas.Problem.model_json_schema()
        for shape, field in TEXTS:
            shapes[shape]["properties"][field]["maxLength"] = app.state.services.settings.max_message_chars
        _show(shapes)
        for operations in made["paths"].values():
            for operation in operations.values():
                _finish(operation)
        app.openapi_schema = made
    return app.openapi_schema


def _show(shapes: dict[str, Any]) -> None:
    """Give each schema its example; that of a list is a list of one."""
    known = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    for name, shape in shapes.items():
        if name in known:
            shape["example"] = known[name]
        elif (one := known.get(name.removeprefix(LIST).removesuffix("_"))) is not None:
            key = next(one[field] for field in ("id", "name", "command") if field in one)
            ids = {"first_id": key, "last_id": key}
            shape["example"] = {"object": "list", "data": [one], **ids, "has_more": False}


def _finish(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    for shape in responses.get("200", {}).get("content", {}).values():
        if "itemSchema" in shape:  # a stream is its events, and no text
            shape.pop("schema", None)
            shape["x-itemSchema"] = shape.pop("itemSchema")  # the word itself comes with OpenAPI 3.2 only
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status in ("4XX", "5XX"):
        responses[status] = {"description": "A problem (RFC 9457)", "content": content}
