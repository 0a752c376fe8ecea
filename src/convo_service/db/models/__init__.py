"""All tables. Every key begins with the user, so that the tables can be distributed by user.

Three exceptions, each with its reason: an identity is keyed by its own value (it is what finds the user), remote ids,
garbage and reserve by OpenAI's id (which has no user any more, or none yet), and keys belong to no user.
"""

from convo_service.db.models.base import Base
from convo_service.db.models.keys import ApiKey, InstallationSecret
from convo_service.db.models.memory import Note, SeedEdit, Summary
from convo_service.db.models.openings import Opening, RemoteGarbage, RemoteId, RemoteReserve
from convo_service.db.models.people import Profile, User, UserIdentity
from convo_service.db.models.talk import Conversation, Message, Seed
from convo_service.db.models.turns import ModelCall, Turn

__all__ = [
    "ApiKey",
    "Base",
    "Conversation",
    "InstallationSecret",
    "Message",
    "ModelCall",
    "Note",
    "Opening",
    "Profile",
    "RemoteGarbage",
    "RemoteId",
    "RemoteReserve",
    "Seed",
    "SeedEdit",
    "Summary",
    "Turn",
    "User",
    "UserIdentity",
]
