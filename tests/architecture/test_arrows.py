"""Which part of the house may know which."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PLUGIN_SOURCES = sorted(ROOT.glob("plugins/*/src"))


def test_import_contracts_hold():
    """The layers of the core, and no arrow from plugin to plugin: `.importlinter`."""
    script = pathlib.Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def test_import_contracts_cover_every_plugin():
    names = {
        path.name
        for source in PLUGIN_SOURCES
        for path in source.iterdir()
        if (path / "__init__.py").is_file()
    }
    lines = {line.strip() for line in (ROOT / ".importlinter").read_text().splitlines()}
    assert names - lines == set()


def imports_of(path: pathlib.Path) -> set[str]:
    """Top-level packages that a module imports when it is imported itself (functions and TYPE_CHECKING left out)."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
        pending += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("source", PLUGIN_SOURCES, ids=lambda source: source.parent.name)
def test_plugin_module_is_featherweight(source):
    (plugin,) = source.glob("*/plugin.py")
    allowed = {"__future__", "parc_core", "typing", "collections"}
    assert imports_of(plugin) <= allowed
    package = plugin.parent / "__init__.py"
    assert imports_of(package) <= allowed, "importing the package must cost nothing"
