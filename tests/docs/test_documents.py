"""What the documents show works: commands parse, settings exist, imports resolve, iteration files load.

A command that names a file of the reader (`iteration.yaml`, `clips/`) is checked without the file, one that names a
file of this repository (`examples/...`) with it. Cheap commands are carried out.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import pathlib
import re
import shlex
import tomllib

import attrs
import click
import pytest
import yaml
from click.testing import CliRunner

from parc_core.cli.main import cli
from parc_core.config import IterationConfig, load_iteration
from parc_core.plugins import Registry

ROOT = pathlib.Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "libs/*/README.md", "plugins/*/README.md", "examples/*/README.md")
    for path in ROOT.glob(pattern)
)
LANGUAGES = {"bash", "yaml", "python", "toml", "text"}
FENCE = re.compile(r"^ *```(\w*) *\n(.*?)^ *```", re.M | re.S)
INLINE = re.compile(r"(?<!`)`(parc [a-z][^`]*|--set [^`]+)`(?!`)")
# what a fragment of an iteration file is completed with
COMPLETION = {"parc": 1, "name": "fragment", "dataset": [{"use": "procedural"}]}
CHEAP = ("plugins", "schema")  # verbs that are carried out


@attrs.frozen
class Block:
    """A fenced block: where it stands, its language and its text."""

    path: pathlib.Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def blocks_of(path: pathlib.Path) -> list[Block]:
    text = path.read_text()
    return [
        Block(path, text[: match.start()].count("\n") + 1, match.group(1), match.group(2))
        for match in FENCE.finditer(text)
    ]


BLOCKS = [block for path in DOCUMENTS for block in blocks_of(path)]


def in_language(*languages: str) -> list:
    return [pytest.param(block, id=block.place) for block in BLOCKS if block.language in languages]


def commands_of(text: str) -> list[str]:
    """Lines of a shell block, continued lines joined, comments and prompts left out."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = (line.strip().removeprefix("$ ") for line in joined.split("\n"))
    return [line for line in lines if line and not line.startswith("#")]


SHELL = [
    pytest.param(block.path, command, id=f"{block.place}-{command:.50}")
    for block in BLOCKS
    if block.language == "bash"
    for command in commands_of(block.text)
] + [
    pytest.param(path, " ".join(match.group(1).split()), id=f"{path.relative_to(ROOT)}-{match.group(1):.50}")
    for path in DOCUMENTS
    for match in INLINE.finditer(FENCE.sub("", path.read_text()))
]


def test_documents_are_found():
    names = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS}
    assert {"README.md", "docs/configuration.md", "plugins/parc_mdm/README.md"} <= names
    assert len(SHELL) > 40


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_block_says_its_language(path):
    unknown = [block.place for block in blocks_of(path) if block.language not in LANGUAGES]
    assert unknown == [], f"expected one of {sorted(LANGUAGES)}"


@pytest.fixture(autouse=True)
def reader(monkeypatch, tmp_path):
    """The reader's own environment: a folder with the data that the documents speak of."""
    (tmp_path / "initial").mkdir()
    monkeypatch.setenv("PARC_DATA", str(tmp_path))
    monkeypatch.chdir(ROOT)
    for source in ROOT.glob("examples/*/src"):  # the packages of the examples, as if they were installed
        monkeypatch.syspath_prepend(str(source))
    found = importlib.metadata.entry_points
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda **select: [*found(**select), *(EXAMPLES if select == {"group": "parc.plugins"} else [])],
    )
    return tmp_path


def example_plugins() -> list[importlib.metadata.EntryPoint]:
    points = []
    for file in ROOT.glob("examples/*/pyproject.toml"):
        declared = tomllib.loads(file.read_text())["project"].get("entry-points", {}).get("parc.plugins", {})
        points += [importlib.metadata.EntryPoint(*item, "parc.plugins") for item in declared.items()]
    return points


EXAMPLES = example_plugins()


def iteration_of(block_text: str) -> str:
    """An iteration file from a block: itself, or the fragment completed."""
    plain = yaml.safe_load(re.sub(r"\$\{[^}]*\}", "x", block_text))
    if "parc" in plain:
        return block_text
    rest = {key: value for key, value in COMPLETION.items() if key not in plain}
    return f"{yaml.safe_dump(rest)}\n{block_text}"


@pytest.mark.parametrize("block", in_language("yaml"))
def test_settings_exist(block, tmp_path):
    file = tmp_path / "iteration.yaml"
    file.write_text(iteration_of(block.text))
    load_iteration(file, (), Registry.discover())


@pytest.mark.parametrize("block", in_language("python"))
def test_imports_resolve(block):
    for node in ast.walk(ast.parse(block.text)):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.startswith(("parc_core", "parc_motion"))
        ):
            module = importlib.import_module(node.module)
            missing = [name.name for name in node.names if not hasattr(module, name.name)]
            assert missing == [], f"{block.place}: {node.module}"


@pytest.mark.parametrize(("path", "command"), SHELL)
def test_command_is_valid(path, command, tmp_path):
    optional = re.findall(r"\[(-[^\]]*)\]", command)  # `[--json]`, as a synopsis writes it
    words = shlex.split(re.sub(r"\[-[^\]]*\]", "", command), comments=True)
    while words and "=" in words[0] and not words[0].startswith("-"):
        words = words[1:]  # an environment variable for the command
    if words[0] == "--set":
        check_settings(
            file_of(path, tmp_path), [from_iteration(word) for word in words[1:2] if "KEY" not in word]
        )
    elif words[0] == "parc":
        check_parc(path, words[1:], tmp_path)
        check_options(words[1:], [name for group in optional for name in re.findall(r"-[-\w]+", group)])
    elif words[0] == "torchrun":
        assert "parc_core.cli.main" in words
        check_parc(path, words[words.index("parc_core.cli.main") + 1 :], tmp_path)
    elif words[0] == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
        assert words[1] in targets
    elif words[:2] == ["pip", "install"]:
        check_install(path, words[2:])
    else:
        assert words[0] in {"cd", "pytest", "python", ".", "git", "export", "apt-get"}, words[0]


def check_install(path: pathlib.Path, words: list[str]) -> None:
    for word in words:
        if word.startswith((".", "/")):
            assert any((base / word.partition("[")[0]).exists() for base in (ROOT, path.parent)), word
        elif word.startswith("parc"):
            names = [file.read_text() for file in ROOT.glob("**/pyproject.toml") if ".venv" not in file.parts]
            name = word.partition("[")[0]
            assert any(f'name = "{name}"' in text for text in names), f"nothing here is called {name}"


def from_iteration(override: str) -> str:
    """Overrides of `parc eval ...` begin at a provider; the same setting of an iteration file."""
    stage = {
        "env": "train_tracker",
        "simulator": "train_tracker",
        "agent": "train_tracker",
        "generator": "train_gen",
    }
    first = override.partition(".")[0]
    return f"{stage[first]}.{override}" if first in stage else override


def own_verbs(path: pathlib.Path) -> set[str]:
    """Verbs that the document itself declares in its examples."""
    code = "\n".join(block.text for block in blocks_of(path) if block.language == "python")
    return set(re.findall(r'Command\(\s*name="([^"]+)"', code))


def check_parc(path: pathlib.Path, words: list[str], folder: pathlib.Path) -> None:
    words = [word.removeprefix("acme:") for word in words if word != "..."]
    if not words or words[0] in ("--help", "-h", "--version") or " ".join(words) in own_verbs(path):
        return
    if any("|" in word for word in words[:2]):  # several verbs at once
        for verb in words[1].split("|"):
            assert resolve([words[0], verb])
        return
    context, verb = resolve(words)
    if context is None:
        return  # names a group or verb without arguments, as running text does
    given = context.params
    if verb == "run" and given.get("overrides"):
        file = ROOT / str(given["path"])
        check_settings(file if file.is_file() else file_of(path, folder), given["overrides"])
    elif given.get("overrides") and words[0] == "eval":
        check_settings(ROOT / "examples" / "demo.yaml", [from_iteration(word) for word in given["overrides"]])
    if words[0] in CHEAP and not any(word.isupper() for word in words):
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == 0, result.output


def check_options(words: list[str], names: list[str]) -> None:
    """The options exist at the verb that the words name."""
    if names:
        command: click.Command = cli
        for word in words:
            if isinstance(command, click.Group):
                command = command.get_command(click.Context(command, info_name="parc"), word) or command
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        assert set(names) <= known


def resolve(words: list[str]) -> tuple[click.Context | None, str]:
    """The context of a verb with its arguments parsed; None where only its name is given."""
    context = click.Context(cli, info_name="parc")
    command: click.Command = cli
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        inner = command.get_command(context, name)
        assert inner is not None, f"no verb '{name}'"
        command, context = inner, click.Context(inner, info_name=name, parent=context)
    if isinstance(command, click.Group) or not rest:
        return None, command.name or ""
    try:
        return command.make_context(command.name or "", rest, parent=context.parent), command.name or ""
    except click.MissingParameter:
        if len(rest) > 1 and not rest[0].startswith("-"):
            raise
        return None, command.name or ""  # running text names an option of the verb
    except click.BadParameter as err:
        ours = [word for word in rest if word.startswith(("examples/", "docs/", "plugins/", "tests/"))]
        assert "does not exist" in err.message and not ours, err.format_message()
        return None, command.name or ""


def file_of(path: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """The iteration file that a document speaks of: the one that it shows, or that of the demo."""
    whole = [block for block in blocks_of(path) if block.language == "yaml" and "parc: 1" in block.text]
    if not whole:
        return ROOT / "examples" / "demo.yaml"
    file = folder / "iteration.yaml"
    file.write_text(whole[0].text)
    return file


def check_settings(file: pathlib.Path, overrides) -> None:
    load_iteration(file, tuple(overrides), Registry.discover())


@pytest.mark.parametrize("file", sorted(ROOT.glob("examples/**/*.yaml")), ids=lambda file: file.name)
def test_example_loads_and_names_files_that_exist(file):
    config = load_iteration(file, (), Registry.discover()).config
    assert isinstance(config, IterationConfig)
    for word in re.findall(r"(?:examples|pretrained)/[\w./-]*\w", file.read_text()):
        assert any((base / word).exists() for base in (file.parent, ROOT)), f"{file.name}: {word}"
