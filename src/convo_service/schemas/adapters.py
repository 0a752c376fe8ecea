"""What gateways that know nothing of us send, and want to hear."""

from pydantic import ConfigDict, Field

from convo_service.schemas.base import Flag, IdentityText, MessageText, Request, Response


class EvolutionInputs(Request):
    """Of the instance's variables the one that counts. Its key is among the others: it is not even read."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    from_me: Flag | None = Field(None, alias="fromMe", description="The business itself wrote it")


class EvolutionMessage(Request):
    """What Evolution API's "Evolution Bot" posts; what it has beside this is left aside."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "example": {
                "query": "Avete la farina tipo 00?",
                "user": "393331234567@s.whatsapp.net",
                "inputs": {"pushName": "Maria", "fromMe": False, "instanceName": "negozio"},
            }
        },
    )

    query: MessageText
    user: IdentityText = Field(description="The WhatsApp address (`remoteJid`)")
    inputs: EvolutionInputs = Field(default_factory=EvolutionInputs)


class EvolutionAnswer(Response):
    """What Evolution API sends to the user; nothing when it is empty."""

    message: str
