"""Where a message goes before anybody knows who wrote it: the topic that was said, commanded, or likely; no query."""

from dataclasses import dataclass, replace

from convo_service.domain.commands import command_length, named_topic
from convo_service.errors import TemplateNotFound
from convo_service.services.arrivals import Call, check_topic
from convo_service.services.catalog import Catalogs
from convo_service.settings import Settings


@dataclass(frozen=True, slots=True)
class Routing:
    """Routes calls by the catalog, and by the settings of this installation."""

    catalogs: Catalogs
    settings: Settings

    async def route(self, call: Call) -> Call:
        """The call with what its words say of its topic. Raises TopicsAreOff and TemplateNotFound.

        `/new` with the name of a topic is obeyed first: the user has written it. Then the caller, then the wording.
        """
        check_topic(call.topic, self.settings)
        if call.template is not None and not await self.catalogs.knows(call.template):
            raise TemplateNotFound
        if self.settings.topics == "off" or call.message is None:
            return self._open(call)
        text = call.message.text
        command = command_length(text, self.settings.reset_words)
        if not command and not (call.is_topic_open and self.settings.topics == "auto"):
            return self._open(call)
        catalog = await self.catalogs.read()
        topic = named_topic(text[command:], catalog.topics) if command else None
        if topic is not None:
            whole = replace(call.message, names_topic=True)
            return replace(call, topic=topic, message=whole, is_topic_open=False)
        call = self._open(call)
        return replace(call, likely_topic=catalog.recogniser.recognise(text[command:])) if call.is_topic_open else call

    def _open(self, call: Call) -> Call:
        """Only where topics are recognised may a topic stay open."""
        return call if self.settings.topics == "auto" else replace(call, is_topic_open=False)
