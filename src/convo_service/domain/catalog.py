"""Which template a new conversation gets: the caller's, else its topic's, else the one named `default`, else none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from convo_service.domain.recognition import Recogniser
from convo_service.errors import TemplateNotFound

DEFAULT = "default"  # the template of whoever names none


class Chosen(NamedTuple):
    """A template in the version that is current when the conversation is opened; of neither, there is none."""

    name: str | None = None
    version: int | None = None


NO_TEMPLATE = Chosen()


@dataclass(frozen=True, slots=True)
class Catalog:
    """The templates there are, each with its current version, and the topics, each with its template."""

    templates: Mapping[str, int] = field(default_factory=dict)
    topics: Mapping[str, str | None] = field(default_factory=dict)
    recogniser: Recogniser = field(default_factory=lambda: Recogniser({}))

    def choose(self, wanted: str | None, topic: str) -> Chosen:
        """The template of a conversation that is opened now; raises TemplateNotFound for one that a caller made up.

        A topic's template may have been deleted since; then it is as if the topic had none.
        """
        if wanted is not None and wanted not in self.templates:
            raise TemplateNotFound
        names = (wanted, self.topics.get(topic), DEFAULT)
        name = next((one for one in names if one is not None and one in self.templates), None)
        return NO_TEMPLATE if name is None else Chosen(name, self.templates[name])

    def choose_again(self, template: str | None, topic: str) -> Chosen:
        """The template of a conversation that takes another one's place: the same one, while there is one."""
        return self.choose(template if template in self.templates else None, topic)
