"""What OpenAI refuses: values of a wrong type, outside a list or above a limit, with its own parameters and codes."""

from __future__ import annotations

from collections.abc import Collection

from convo_service.llm.emulator.wire import ApiError, Json

_MAX_PAIRS, _MAX_KEY, _MAX_VALUE = 16, 64, 512
_TYPE_NAMES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer"}
_RESPONSE_FIELDS: dict[str, tuple[str, type | tuple[type, ...]]] = {
    "model": ("a string", str),
    "input": ("one of a string or array of input items", (str, list)),
    "conversation": ("one of a string or an object", (str, dict)),
    "previous_response_id": ("a string", str),
    "instructions": ("one of a string or array of input items", (str, list)),
    "text": ("an object", dict),
    "stream": ("a boolean", bool),
    "store": ("a boolean", bool),
}


def metadata(value: object) -> Json:
    """Metadata within its limits: 16 pairs, keys of 64 and values of 512 characters."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid_type("metadata", "a metadata object", value)
    if len(value) > _MAX_PAIRS:
        raise above("metadata", "object", "properties", f"too many properties, at most {_MAX_PAIRS}")
    for key, text in value.items():
        _check_pair(key, text)
    return value


def _check_pair(key: str, text: object) -> None:
    where = f"metadata.{key}"
    if len(key) > _MAX_KEY:
        raise above(where, "property_name", "length", f"property name too long, at most {_MAX_KEY}")
    if not isinstance(text, str):
        raise invalid_type(where, "a string", text)
    if len(text) > _MAX_VALUE:
        raise above(where, "string", "length", f"string too long, at most {_MAX_VALUE}")


def response_request(body: Json) -> None:
    """The fields of responses.create that must be there, and those that must not be there together."""
    for name in ("model", "input"):
        if body.get(name) is None:
            raise missing(name)
    for name, (wanted, types) in _RESPONSE_FIELDS.items():
        if body.get(name) is not None and not isinstance(body[name], types):
            raise invalid_type(name, wanted, body[name])
    if body.get("conversation") is not None and body.get("previous_response_id") is not None:
        text = "Mutually exclusive parameters: only one of 'previous_response_id' or 'conversation'."
        raise ApiError(400, text, code="mutually_exclusive_parameters")
    metadata(body.get("metadata"))


def one_of(value: object, allowed: Collection[str], where: str) -> str:
    """The value, if it is one of those allowed."""
    if value is None:
        raise missing(where)
    if not isinstance(value, str) or value not in allowed:
        names = ", ".join(f"'{name}'" for name in allowed)
        text = f"Invalid value: '{value}'. Supported values are: {names}."
        raise ApiError(400, text, param=where, code="invalid_value")
    return value


def missing(where: str) -> ApiError:
    """The refusal of a request without this parameter."""
    return ApiError(400, f"Missing required parameter: '{where}'.", param=where, code="missing_required_parameter")


def invalid_type(where: str, wanted: str, value: object) -> ApiError:
    """The refusal of a value of the wrong type."""
    found = "null" if value is None else _TYPE_NAMES.get(type(value), "a decimal")
    text = f"Invalid type for '{where}': expected {wanted}, but got {found} instead."
    return ApiError(400, text, param=where, code="invalid_type")


def above(where: str, what: str, measure: str, why: str) -> ApiError:
    """The refusal of something larger than its limit."""
    return ApiError(400, f"Invalid '{where}': {why}.", param=where, code=f"{what}_above_max_{measure}")
