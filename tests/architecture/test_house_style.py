"""Size, docstrings, and words that do not belong into the repository."""

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = sorted(
    [
        *ROOT.glob("parc_core/**/*.py"),
        *ROOT.glob("libs/*/src/**/*.py"),
        *ROOT.glob("plugins/*/src/**/*.py"),
        *ROOT.glob("examples/*/src/**/*.py"),
    ]
)
LIMIT = 600
# Places of the machines that this was written on, and names of papers that do not come with it.
FOREIGN = re.compile(
    "/"
    + r"work/(main|shared)|\.\./"
    + r"shared/(?!data)|\b(spec|style|design|kinopt|(?<!docs/)reliability|physics)\.md\b"
)
BRITISH = re.compile(
    r"colour|centre|neighbour|behaviour|metres?\b|labelled|labelling|levelled|judgement|grey"
    r"|(?:optim|normal|standard|summar|general|minim|maxim|regular|factor|vector|initial|serial|penal|organ|recogn)is[aei]"
    r"(?!t|c)",
    re.IGNORECASE,
)
# what files of earlier versions say, and what scripts read
OLD_FILES = ('"units":', "RENAMED", '"optimised"')
VAGUE = re.compile("published (?:PARC )?(?:implementation|system)")
TEXT_SUFFIXES = {".py", ".md", ".toml", ".yaml", ".yml", ".xml", ".txt", ".cfg", ".ini", ".sh", ""}
GENERATED = re.compile(r"\.git|\.venv|build|dist|runs|__pycache__|\..*_cache|\.hypothesis|.*\.egg-info")


def name_of(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_module_is_not_too_long(path):
    lines = len(path.read_text().splitlines())
    assert lines < LIMIT, f"{lines} lines: split it by subject"


def public_without_docstring(path: pathlib.Path) -> list[str]:
    """Public modules, classes, functions and methods that say nothing about themselves."""
    tree = ast.parse(path.read_text())
    missing = [] if ast.get_docstring(tree) else ["the module"]
    pending: list[tuple[ast.AST, str]] = [(tree, "")]
    while pending:
        parent, prefix = pending.pop()
        for node in ast.iter_child_nodes(parent):
            if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            if node.name.startswith("_") or is_overload(node):
                continue
            if not ast.get_docstring(node):
                missing.append(f"{prefix}{node.name} (line {node.lineno})")
            if isinstance(node, ast.ClassDef):
                pending.append((node, f"{node.name}."))
    return missing


def is_overload(node: ast.AST) -> bool:
    return any("overload" in ast.unparse(item) for item in getattr(node, "decorator_list", []))


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if "parc_testing/contracts" not in name_of(path)], ids=name_of
)
def test_everything_public_has_a_docstring(path):
    assert public_without_docstring(path) == []


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if "parc_testing/contracts" in name_of(path)], ids=name_of
)
def test_contract_suites_say_what_they_are_for(path):
    """Their test methods are named by what they claim, so only the module and the class need a docstring."""
    missing = [name for name in public_without_docstring(path) if "test_" not in name]
    assert missing == []


def test_repository_names_no_place_outside_itself():
    found = []
    for path in ROOT.rglob("*"):
        if any(GENERATED.fullmatch(part) for part in path.relative_to(ROOT).parts):
            continue
        if not path.is_file() or path.suffix not in TEXT_SUFFIXES or path == pathlib.Path(__file__):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if FOREIGN.search(line):
                found.append(f"{name_of(path)}:{number}: {line.strip():.100}")
    assert found == []


def test_test_files_have_unique_names():
    """pytest's importlib mode tells modules apart by their path, people by their name."""
    folders = ("tests", "libs/*/tests", "plugins/*/tests", "examples/*/tests")
    names = [path.name for folder in folders for path in ROOT.glob(f"{folder}/**/test_*.py")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def text_lines() -> Iterator[tuple[str, str]]:
    """``file:line`` and text of every line of sources and documents."""
    for path in sorted(
        [*SOURCES, *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/*/README.md")]
    ):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield f"{name_of(path)}:{number}", line


def test_words_are_american():
    found = [f"{place}: {line.strip()}" for place, line in text_lines() if BRITISH.search(line)]
    assert [line for line in found if not any(old in line for old in OLD_FILES)] == []


def test_published_facts_name_their_one_source():
    """`parc_motion.published` says which paper and which commit; a source that only says "published" does not."""
    sources = [(place, line.partition("Source:")[2]) for place, line in text_lines()]
    vague = [(place, text) for place, text in sources if VAGUE.search(text)]
    assert [(place, text) for place, text in vague if "parc_motion.published" not in text] == []
