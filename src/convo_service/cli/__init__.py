"""The command `convo-service`; each command imports what it needs, so that `--help` stays quick."""

import typer

from convo_service.cli.checking import config, doctor
from convo_service.cli.counting import rebuild_analytics
from convo_service.cli.database import import_legacy, migrate
from convo_service.cli.examples import below
from convo_service.cli.keys import create_key, list_keys, revoke_key, rotate_key, show_scopes
from convo_service.cli.reporting import report
from convo_service.cli.serving import demo, openapi, serve
from convo_service.cli.simulating import simulate
from convo_service.cli.templates import install_templates, list_templates
from convo_service.cli.users import erase_user, export_user, merge_users
from convo_service.cli.working import sweep, worker

app = typer.Typer(
    help="Windows of conversation for WhatsApp bots on OpenAI's Conversations API.",
    no_args_is_help=True,
    epilog=below(""),
    pretty_exceptions_enable=False,
)
app.command("serve", epilog=below("serve"))(serve)
app.command("worker", epilog=below("worker"))(worker)
app.command("sweep", epilog=below("sweep"))(sweep)
app.command("migrate", epilog=below("migrate"))(migrate)
app.command("doctor", epilog=below("doctor"))(doctor)
app.command("config", epilog=below("config"))(config)
app.command("import-legacy", epilog=below("import-legacy"))(import_legacy)
app.command("report", epilog=below("report"))(report)
app.command("demo", epilog=below("demo"))(demo)
app.command("simulate", epilog=below("simulate"))(simulate)
app.command("openapi", epilog=below("openapi"))(openapi)

keys_app = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True)
keys_app.command("create", epilog=below("keys create"))(create_key)
keys_app.command("list", epilog=below("keys list"))(list_keys)
keys_app.command("rotate", epilog=below("keys rotate"))(rotate_key)
keys_app.command("scopes", epilog=below("keys scopes"))(show_scopes)
keys_app.command("revoke", epilog=below("keys revoke"))(revoke_key)
app.add_typer(keys_app, name="keys")

templates_app = typer.Typer(help="Install and list templates of conversations.", no_args_is_help=True)
templates_app.command("install", epilog=below("templates install"))(install_templates)
templates_app.command("list", epilog=below("templates list"))(list_templates)
app.add_typer(templates_app, name="templates")

user_app = typer.Typer(help="Export, erase and merge people.", no_args_is_help=True)
user_app.command("export", epilog=below("user export"))(export_user)
user_app.command("erase", epilog=below("user erase"))(erase_user)
user_app.command("merge", epilog=below("user merge"))(merge_users)
app.add_typer(user_app, name="user")

analytics_app = typer.Typer(help="Counts of analytics.", no_args_is_help=True)
analytics_app.command("rebuild", epilog=below("analytics rebuild"))(rebuild_analytics)
app.add_typer(analytics_app, name="analytics")


def main() -> None:
    """Run the command line."""
    app()
