"""All tables. Every key begins with the user, so that the tables can be distributed by user.

The exceptions, each with its reason: an identity is keyed by its own value (it is what finds the user), remote ids,
garbage and reserve by OpenAI's id (which has no user any more, or none yet), counts of rates by a hash of whatever name
a request has (no user was looked up yet), counts of analytics by what they count (they name nobody), and keys,
sessions, templates, topics, erasures and tombstones belong to no user.
"""

from convo_service.db.models.analytics import ActiveDay, AnalyticsCount, AnalyticsCursor, AnalyticsPeople
from convo_service.db.models.base import Base
from convo_service.db.models.catalog import Template, TemplateVersion, Topic
from convo_service.db.models.keys import ApiKey, DashboardSession, InstallationSecret, RateCount
from convo_service.db.models.memory import Note, SeedEdit, Summary
from convo_service.db.models.openings import Opening, RemoteGarbage, RemoteId, RemoteReserve
from convo_service.db.models.people import Profile, User, UserIdentity
from convo_service.db.models.privacy import Erasure, Merge, Tombstone
from convo_service.db.models.talk import Conversation, Message, Seed
from convo_service.db.models.turns import ModelCall, Turn

__all__ = [
    "ActiveDay",
    "AnalyticsCount",
    "AnalyticsCursor",
    "AnalyticsPeople",
    "ApiKey",
    "Base",
    "Conversation",
    "DashboardSession",
    "Erasure",
    "InstallationSecret",
    "Merge",
    "Message",
    "ModelCall",
    "Note",
    "Opening",
    "Profile",
    "RateCount",
    "RemoteGarbage",
    "RemoteId",
    "RemoteReserve",
    "Seed",
    "SeedEdit",
    "Summary",
    "Template",
    "TemplateVersion",
    "Tombstone",
    "Topic",
    "Turn",
    "User",
    "UserIdentity",
]
