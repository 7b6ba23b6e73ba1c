"""Stage files: one stage of a run with its settings, as `parc setup` writes them and `parc run` takes them.

```yaml
run: ..            # the run folder, relative to the file
only: kin_gen
iteration: 1
kin_gen: {candidates: 64}
```
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from parc_core.config.dumping import dump_yaml
from parc_core.config.iteration import STAGES, IterationConfig
from parc_core.config.nodes import (
    InvalidConfig,
    Key,
    MappingNode,
    Node,
    Position,
    Problem,
    ScalarNode,
    to_plain,
)
from parc_core.config.wording import show
from parc_core.config.yaml_source import parse_text, read_text
from parc_core.errors import ConfigError
from parc_core.paths import is_file, is_folder

__all__ = ["Changed", "StageFile", "read_stage_file"]

_RUN, _ONLY, _ITERATION = "run", "only", "iteration"


@attrs.frozen
class Changed:
    """A setting to which a stage file gives another value than the run."""

    place: tuple[str, ...]  # keys from the top of the iteration's settings on
    key: Key
    of_run: Any  # plain value that holds in the run

    @property
    def name(self) -> str:
        """The setting, dotted."""
        return ".".join(self.place)

    @property
    def run_has(self) -> str:
        """The value in the run, for messages."""
        return _short(self.of_run)

    @property
    def file_has(self) -> str:
        """The value in the file, for messages."""
        return _short(to_plain(self.key.node))


@attrs.frozen(kw_only=True)
class StageFile:
    """A stage of a run, and its settings."""

    path: pathlib.Path
    run: pathlib.Path  # the run folder
    only: str  # the stage
    iteration: int  # counted from 1
    settings: Key | None  # of the stage; those that the file leaves out are the run's
    problems: tuple[Problem, ...]  # of single values in the settings

    def changes(self, config: IterationConfig) -> list[Changed]:
        """In what the file differs from the settings of a run."""
        if self.settings is None:
            return []
        now, _ = parse_text(dump_yaml(config.at(self.iteration)), str(self.path))
        return list(_changes(self.settings, to_plain(now)[self.only], (self.only,)))


def read_stage_file(path: pathlib.Path) -> StageFile | None:
    """The stage file at a path; None if it is a folder or another file.

    Raises:
        InvalidConfig: a key besides the settings of the stage is wrong or missing; the text lists all of them.
        ConfigError: the file cannot be read.
    """
    path = pathlib.Path(path)
    if is_folder(path):
        return None
    node, problems = parse_text(read_text(path), str(path))
    if not isinstance(node, MappingNode) or "parc" in node.keys or not {_RUN, _ONLY} & node.keys.keys():
        return None
    head = _Head(path, node)
    run = head.value(_RUN, lambda value: isinstance(value, str) and value != "", "the path of the run folder")
    only = head.value(_ONLY, lambda value: value in STAGES, f"one of {', '.join(STAGES)}")
    iteration = head.value(_ITERATION, _is_iteration, "the number of an iteration, 1 or higher")
    head.refuse_others(only)
    if head.problems:
        raise InvalidConfig([*problems, *head.problems])
    folder = pathlib.Path(os.path.normpath(path.parent / os.path.expanduser(run)))
    try:
        there = is_file(folder / "config.yaml")
    except ConfigError as err:
        raise ConfigError(f"{node.keys[_RUN].node.at}: run: {err}") from err
    if not there:
        raise ConfigError(
            f"{node.keys[_RUN].node.at}: run: {folder} is not a run folder (config.yaml is missing). Give its path, "
            "relative to this file."
        )
    return StageFile(
        path=path,
        run=folder,
        only=only,
        iteration=iteration,
        settings=node.keys.get(only),
        problems=tuple(problems),
    )


@attrs.define
class _Head:
    """The keys of a stage file besides the settings."""

    path: pathlib.Path
    node: MappingNode
    problems: list[Problem] = attrs.field(factory=list)

    def value(self, name: str, accepts: Any, expected: str) -> Any:
        """The value of a key, or None after reporting what is wrong with it."""
        key = self.node.keys.get(name)
        if key is None:
            self.problems.append(
                Problem(Position(str(self.path), 1, 1), name, f"the key is missing, expected {expected}")
            )
            return None
        if isinstance(key.node, ScalarNode) and accepts(key.node.value):
            return key.node.value
        self.problems.append(Problem(key.node.at, name, f"expected {expected}, got {show(key.node)}"))
        return None

    def refuse_others(self, only: str | None) -> None:
        """Report keys that a stage file does not have."""
        known = [_RUN, _ONLY, _ITERATION, *([only] if only else STAGES)]
        for name, key in self.node.keys.items():
            if name not in known:
                text = f"unknown key '{name:.60}' in the file of a stage, known are {', '.join(known)}"
                self.problems.append(Problem(key.at, name, text))


def _is_iteration(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _changes(key: Key, now: Any, place: tuple[str, ...]) -> Iterator[Changed]:
    """Settings of a file that differ from those that hold; another provider is one change, with all its settings."""
    node = key.node
    if not (isinstance(node, MappingNode) and isinstance(now, Mapping)) or _is_other_provider(node, now):
        if not _same(node, now):
            yield Changed(place, key, now)
        return
    for name, inner in node.keys.items():
        yield from _changes(inner, now.get(name, _MISSING), (*place, name))


def _is_other_provider(node: MappingNode, now: Mapping[str, Any]) -> bool:
    return "use" in node.keys and not _same(node.keys["use"].node, now.get("use"))


def _same(node: Node, now: Any) -> bool:
    return repr(to_plain(node)) == repr(now)  # True is not 1


def _short(value: Any) -> str:
    if isinstance(value, Mapping) and "use" in value:
        value = value["use"]
    text = "nothing" if value is _MISSING else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


_MISSING = _Missing()
