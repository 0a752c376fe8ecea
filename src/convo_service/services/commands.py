"""Which commands users may write in this installation, and in which words they are explained."""

from collections.abc import Sequence
from dataclasses import dataclass

from convo_service.domain.commands import described
from convo_service.services import templates
from convo_service.services.arrivals import GENERAL
from convo_service.services.catalog import Catalogs
from convo_service.settings import Settings

MOST_NAMED = 32  # characters of a command's name at WhatsApp


@dataclass(frozen=True, slots=True)
class Known:
    """The commands, all of which open a new conversation, and the topics that may follow them."""

    words: Sequence[str]
    topics: Sequence[str]
    description: str

    @staticmethod
    def name(word: str) -> str | None:
        """What WhatsApp is told: it puts the slash in front itself. None for what it would not take."""
        name = word.removeprefix("/")
        return name if word.startswith("/") and 0 < len(name) <= MOST_NAMED else None


@dataclass(frozen=True, slots=True)
class Commands:
    """Knows the commands of this installation."""

    catalogs: Catalogs
    settings: Settings

    async def known(self, template: str | None) -> Known:
        """The commands as a template explains them. Raises TemplateNotFound."""
        if template is not None:
            await self.catalogs.knows(template)
        catalog = await self.catalogs.read()
        version = await self.catalogs.version(*catalog.choose(template, GENERAL))
        topics = sorted(catalog.topics) if self.settings.topics != "off" else []
        description = described(templates.language(version, self.settings), topics)
        return Known(self.settings.reset_words_in_order, topics, description)
