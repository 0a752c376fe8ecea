"""The command `convo-service`; each command imports what it needs, so that `--help` stays quick."""

import typer

from convo_service.cli.checking import config, doctor
from convo_service.cli.database import import_legacy, migrate
from convo_service.cli.keys import create_key, list_keys, revoke_key, rotate_key, show_scopes
from convo_service.cli.reporting import report
from convo_service.cli.serving import demo, openapi, serve
from convo_service.cli.simulating import simulate
from convo_service.cli.users import erase_user, export_user, merge_users
from convo_service.cli.working import sweep, worker

app = typer.Typer(
    help="Windows of conversation for WhatsApp bots on OpenAI's Conversations API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(worker)
app.command()(sweep)
app.command()(migrate)
app.command()(doctor)
app.command()(config)
app.command("import-legacy")(import_legacy)
app.command()(report)
app.command()(demo)
app.command()(simulate)
app.command()(openapi)

keys_app = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True)
keys_app.command("create")(create_key)
keys_app.command("list")(list_keys)
keys_app.command("rotate")(rotate_key)
keys_app.command("scopes")(show_scopes)
keys_app.command("revoke")(revoke_key)
app.add_typer(keys_app, name="keys")

user_app = typer.Typer(help="Export, erase and merge people.", no_args_is_help=True)
user_app.command("export")(export_user)
user_app.command("erase")(erase_user)
user_app.command("merge")(merge_users)
app.add_typer(user_app, name="user")


def main() -> None:
    """Run the command line."""
    app()
