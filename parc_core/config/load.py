"""Reads an iteration file and applies command-line overrides."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Sequence
from typing import Any

import attrs

from parc_core.config.dumping import dump_yaml
from parc_core.config.iteration import IterationConfig
from parc_core.config.kept import check_kept
from parc_core.config.nodes import InvalidConfig, MappingNode, Problem
from parc_core.config.overrides import apply_override, apply_stage_file
from parc_core.config.stage_file import StageFile
from parc_core.config.structuring import structure
from parc_core.config.yaml_source import parse_text, read_text
from parc_core.plugins import Registry

__all__ = ["LoadedConfig", "load_iteration", "load_settings"]

log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class LoadedConfig:
    """An iteration file with typed settings."""

    config: IterationConfig
    path: pathlib.Path
    source_text: str  # as the user wrote it
    overrides: tuple[str, ...]
    dropped: tuple[Problem, ...]  # settings of the file that a provider chosen by --set does not have

    def resolved_yaml(self) -> str:
        """Every value explicit: what the run folder keeps, and what reads back to the same settings."""
        heading = f"resolved from {self.path}\n" + "\n".join(
            f"--set {override}" for override in self.overrides
        )
        return dump_yaml(self.config, heading)


def load_iteration(
    path: pathlib.Path, overrides: Sequence[str], registry: Registry, stage_file: StageFile | None = None
) -> LoadedConfig:
    """The settings in an iteration file with ``key=value`` overrides applied.

    Args:
        stage_file: a stage of this run; what its settings change is applied before the overrides.

    Raises:
        InvalidConfig: anything is wrong; the text lists all of it as ``file:line:col: key: message``.
        ConfigError: the file cannot be read.
    """
    path = pathlib.Path(path)
    text = read_text(path)
    check_kept(text, str(path))
    config, dropped = load_settings(
        text,
        str(path),
        IterationConfig,
        registry,
        base=path.parent,
        overrides=overrides,
        stage_file=stage_file,
    )
    for problem in dropped:
        log.info("%s", problem)
    return LoadedConfig(
        config=config, path=path, source_text=text, overrides=tuple(overrides), dropped=dropped
    )


def load_settings(
    text: str,
    source: str,
    cls: type,
    registry: Registry,
    *,
    base: pathlib.Path | None = None,
    overrides: Sequence[str] = (),
    warn_renamed: bool = True,
    stage_file: StageFile | None = None,
) -> tuple[Any, tuple[Problem, ...]]:
    """Settings of any class from a YAML text, and the settings that an override made inapplicable.

    Args:
        source: file name for messages.
        base: folder for relative paths.
        warn_renamed: whether old names of settings are logged; not for a text that a program recorded, which its user
            cannot be expected to change.
        stage_file: see `load_iteration`.

    Raises:
        InvalidConfig: anything is wrong.
    """
    node, problems = parse_text(text, source)
    if not isinstance(node, MappingNode):
        raise InvalidConfig(
            [
                *problems,
                Problem(node.at, "", "the file holds no `key: value` lines. Is it an iteration file?"),
            ]
        )
    if stage_file is not None:
        config = structure(node, cls, registry, base=base, problems=problems, warn_renamed=False).config
        node = apply_stage_file(node, stage_file, config)
        problems += stage_file.problems
    for override in overrides:
        try:
            node, more = apply_override(node, override)
        except InvalidConfig as err:
            more = list(err.problems)
        problems += more
    result = structure(node, cls, registry, base=base, problems=problems, warn_renamed=warn_renamed)
    return result.config, result.dropped
