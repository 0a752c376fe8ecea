"""What `--help` shows below the options: how a command is typed, and what its exit codes mean."""

EXIT_CODES = (
    "Exit codes: 0 done; 1 it did not work, or `doctor` found a problem; 2 the call or a setting is wrong; "
    "130 stopped with Ctrl-C. Errors are one line on standard error. NO_COLOR is respected."
)

TYPED = {
    "": (
        "convo-service migrate",
        "convo-service keys create --name my-gateway --scope gateway",
        "convo-service serve --emulator",
        "convo-service doctor",
    ),
    "serve": (
        "convo-service serve --emulator",
        "OPENAI_API_KEY=sk-... OPENAI_MODEL=gpt-5-mini convo-service serve --host 0.0.0.0 --port 8000",
    ),
    "worker": ("WORKER_ENABLED=false convo-service serve & convo-service worker",),
    "sweep": ("convo-service sweep", "convo-service sweep --now 2026-03-02T09:00Z --json"),
    "migrate": (
        "convo-service migrate",
        "DATABASE_URL=postgresql+asyncpg://user:password@host/convo convo-service migrate",
        "DATABASE_URL=sqlite:///bot.db LEGACY_TIMEZONE=Europe/Rome convo-service migrate",
    ),
    "doctor": ("convo-service doctor", "convo-service doctor --json"),
    "config": ("convo-service config", "convo-service config --json"),
    "import-legacy": ("convo-service import-legacy bot.db --dry-run", "convo-service import-legacy bot.db"),
    "report": ("convo-service report --month 2026-03", "convo-service report --html march.html --month 2026-03"),
    "demo": ("convo-service demo", "convo-service demo --database /tmp/story.db"),
    "simulate": (
        "convo-service simulate --timeout-hours 24,48,72 --cap 20,50 --model gpt-4.1-mini",
        "convo-service simulate --since 2026-01-01T00:00Z --instructions-tokens 800 --json",
    ),
    "analytics rebuild": ("convo-service analytics rebuild", "convo-service analytics rebuild --json"),
    "openapi": ("convo-service openapi > openapi.json",),
    "keys create": (
        "convo-service keys create --name my-gateway --scope gateway",
        "KEY=$(convo-service keys create --name ci --scope admin --expires-in-days 1 | tail -n 1)",
    ),
    "keys list": ("convo-service keys list", "convo-service keys list --json"),
    "keys rotate": ("convo-service keys rotate csk_1a2b3c --grace-hours 48",),
    "keys revoke": ("convo-service keys revoke key_0123456789",),
    "keys scopes": ("convo-service keys scopes",),
    "templates install": ("convo-service templates install --language it --language en",),
    "templates list": ("convo-service templates list",),
    "user export": ('convo-service user export "+39 333 123 4567" --to maria.json',),
    "user erase": ('convo-service user erase "+39 333 123 4567" --yes',),
    "user merge": ('convo-service user merge "+39 333 123 4567" --into IT.13491208655302741918',),
}


def below(command: str) -> str:
    """The end of a command's help; a blank line is a line's end there, and brackets would be markup."""
    lines = ["Examples:" if len(TYPED[command]) > 1 else "Example:", *TYPED[command]]
    return "\n\n".join(line.replace("[", r"\[") for line in [*lines, *([EXIT_CODES] if not command else [])])
