"""The house guards itself: its rules are read off the source."""

import ast
import gc
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from convo_service.app import create_app
from convo_service.settings import Settings

SRC = Path(__file__).resolve().parents[1] / "src" / "convo_service"
FILES = sorted(SRC.rglob("*.py"))
OPEN_ROUTES = {"/livez", "/readyz", "/openapi.json"}
MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 300
DATA_FILES = {"words.py", "story.py", "texts.py"}  # lists of words, of dialogues and of texts, no code

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def trees() -> list[tuple[Path, ast.Module]]:
    """Every module of the service, parsed once: a collection of garbage in the middle confuses 3.11's parser."""
    gc.disable()
    try:
        return [(path, ast.parse(path.read_text())) for path in FILES]
    finally:
        gc.enable()


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function of a module."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def code_lines(path: Path) -> int:
    """Lines that are neither blank nor a comment."""
    return sum(1 for line in path.read_text().splitlines() if line.strip() and not line.strip().startswith("#"))


def found(tree: ast.AST, source: str) -> bool:
    """Whether an expression that ends in `source` is called anywhere below."""
    return any(isinstance(node, ast.Call) and ast.unparse(node.func).endswith(source) for node in ast.walk(tree))


def transactions(tree: ast.AST) -> Iterator[ast.AsyncWith]:
    """Every block that holds a transaction open."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncWith) and any(".begin()" in ast.unparse(item) for item in node.items):
            yield node


def foreign_awaits(block: ast.AsyncWith) -> list[str]:
    """What is awaited inside a transaction without being handed the transaction."""
    awaited = [ast.unparse(one.value) for one in ast.walk(block) if isinstance(one, ast.Await)]
    return [call for call in awaited if not re.search(r"\btx\b", call)]


def test_nobody_commits_by_hand() -> None:
    """A transaction is a visible block, so `.commit()` stands nowhere but where many share one."""
    guilty = [path for path, tree in trees() if found(tree, ".commit") and "emulator" not in path.parts]
    assert [path.name for path in guilty] == ["group_commit.py"]


def test_nothing_else_is_awaited_inside_a_transaction() -> None:
    """While a transaction is open only its own statements are awaited: no OpenAI, no sleep, no other transaction."""
    blocks = [(path.name, block) for path, tree in trees() for block in transactions(tree)]
    guilty = [(name, call) for name, block in blocks for call in foreign_awaits(block)]
    assert len(blocks) > 10
    assert guilty == []


@pytest.mark.parametrize(
    "call", ["self._llm.create(1)", "self._open(step)", "asyncio.sleep(1)", "services.get_or_create(c)"]
)
def test_the_guard_sees(call: str) -> None:
    """The check above can fail."""
    sample = ast.parse(f"async def f():\n async with s.begin() as tx:\n  await tx.flush()\n  await {call}")
    assert [found for block in transactions(sample) for found in foreign_awaits(block)] == [call]


def test_functions_and_files_are_short() -> None:
    """No function is over 60 lines, no file over 300."""
    long = [
        f"{path.name}:{one.name}"
        for path, tree in trees()
        for one in functions(tree)
        if (one.end_lineno or 0) - one.lineno + 1 > MAX_FUNCTION_LINES
    ]
    big = [path.name for path in FILES if code_lines(path) > MAX_FILE_LINES]
    assert (long, [name for name in big if name not in DATA_FILES]) == ([], [])


def test_every_module_says_what_it_is() -> None:
    """Every module has a docstring of its own."""
    assert [str(path) for path, tree in trees() if not ast.get_docstring(tree)] == []


def test_every_bench_runs_as_a_file() -> None:
    """Run as a file, only bench/ itself is on the path: whatever is imported of the rest comes after the root's."""
    for file in sorted((SRC.parents[1] / "bench").glob("*.py")):
        text = file.read_text()
        if "\nif __name__ ==" in text and (first := re.search(r"^from (bench|tests)\b", text, re.MULTILINE)):
            assert "sys.path.insert(0, " in text[: first.start()], file.name


def test_no_handler_takes_a_transaction_and_a_service() -> None:
    """A handler works in one transaction, or calls a service that has its own; never both."""
    guilty = []
    for path, tree in trees():
        if path.parent.name == "routes":
            for one in functions(tree):
                notes = {ast.unparse(arg.annotation) for arg in one.args.args if arg.annotation}
                if "Wired" in notes and notes & {"Tx", "ReadTx"}:
                    guilty.append(f"{path.name}:{one.name}")
    assert guilty == []


def test_every_route_asks_for_a_key(tmp_path: Path) -> None:
    """No route is open unless it is listed here."""
    app = create_app(Settings(_env_file=None, database_url=f"sqlite:///{tmp_path / 'x.db'}"))
    document = app.openapi()
    bare = {
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if not operation.get("security")
    }
    assert bare <= OPEN_ROUTES
    assert len(document["paths"]) > len(OPEN_ROUTES)


def test_nothing_of_a_machine_stands_in_the_tree() -> None:
    """No path of one machine and no address of a registry is committed."""
    root = SRC.parents[1]
    lines = [
        f"{path.name}:{number}"
        for folder in ("src", "alembic", "requirements", "bench")
        for path in (root / folder).rglob("*")
        if path.is_file() and path.suffix in {".py", ".txt", ".md", ".mako"}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "index-url" in line or "://pypi" in line or "/home/" in line
    ]
    assert lines == []
