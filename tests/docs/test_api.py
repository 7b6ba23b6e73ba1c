"""`docs/api.md` lists every public name once, and nothing of ours reaches past it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("generate_api", ROOT / "docs" / "generate_api.py")
generate_api = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate_api)
PUBLIC = generate_api.PUBLIC
STRANGERS = sorted([*ROOT.glob("plugins/*/src/**/*.py"), *ROOT.glob("examples/*/src/**/*.py")])


def test_page_is_current():
    assert (ROOT / "docs" / "api.md").read_text() == generate_api.page(), "run `make api`"


def test_every_public_name_has_one_path():
    paths: dict[str, list[str]] = {}
    for name in PUBLIC:
        module = importlib.import_module(name)
        for item in module.__all__:
            paths.setdefault(item, []).append(name)
    assert {item: names for item, names in paths.items() if len(names) > 1} == {}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_exist(name):
    module = importlib.import_module(name)
    assert [item for item in module.__all__ if not hasattr(module, item)] == []


def reached_past(path: pathlib.Path) -> list[str]:
    """Imports of the framework that are not public."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [(item.name, None) for item in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "", item.name) for item in node.names]
        else:
            continue
        for module, item in names:
            if module.partition(".")[0] not in ("parc_core", "parc_motion", "parc_testing"):
                continue
            whole = f"{module}.{item}" if item else module
            public = whole in PUBLIC or (module in PUBLIC and item in importlib.import_module(module).__all__)
            if not public:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {whole}")
    return found


@pytest.mark.parametrize("path", STRANGERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_plugins_reach_public_names_only(path):
    assert reached_past(path) == []
