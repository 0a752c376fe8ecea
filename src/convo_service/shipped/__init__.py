"""Templates that are shipped: instructions as texts, and what goes with them."""

from importlib.resources import files
from typing import Any

NAMES = ("support", "sales")
LANGUAGES = ("it", "en")
# Support comes back to the same problem for days and needs what is open; who buys decides sooner, and what was said of
# prices a week ago is better asked again.
FIELDS: dict[str, dict[str, Any]] = {"support": {"timeout_hours": 72.0}, "sales": {"timeout_hours": 48.0}}


def shipped(name: str, language: str) -> dict[str, Any]:
    """A template as `PUT /templates/{name}` takes it."""
    text = files(__name__).joinpath(f"{name}.{language}.md").read_text("utf-8")
    return {**FIELDS[name], "instructions": text.strip(), "language": language}
