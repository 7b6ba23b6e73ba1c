"""The hooks that a plugin may implement; all are optional."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pluggy

from parc_core.plugins.provider import Command, Provider

__all__ = ["GROUP", "PROJECT", "hookimpl", "hookspec"]

GROUP = "parc.plugins"  # entry-point group
PROJECT = "parc"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def parc_providers() -> list[Provider]:  # type: ignore[empty-body]
    """The implementations that this plugin offers."""


@hookspec
def parc_commands() -> list[Command]:  # type: ignore[empty-body]
    """The verbs that this plugin adds to `parc`."""


@hookspec
def parc_stage_started(stage: str, folder: str) -> None:
    """A stage starts to work in a folder."""


@hookspec
def parc_stage_finished(stage: str, folder: str, summary: Mapping[str, Any]) -> None:
    """A stage has committed its folder."""


@hookspec
def parc_stage_failed(stage: str, error: str) -> None:
    """A stage raised an error; the run ends."""


@hookspec
def parc_iteration_finished(iteration: int, folder: str) -> None:
    """All stages of an iteration are done."""
