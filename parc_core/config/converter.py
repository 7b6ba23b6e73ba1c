"""The base class of the loader, through which its parts report problems and call each other."""

from __future__ import annotations

import abc
import pathlib
from collections.abc import Mapping
from typing import Any

import attrs

from parc_core.config.nodes import INVALID, MappingNode, Node, Position, Problem
from parc_core.plugins import Registry

__all__ = ["Converter"]


@attrs.define
class Converter(abc.ABC):
    """One reading of one file. Methods return `INVALID` after they reported why a value is refused."""

    registry: Registry
    base: pathlib.Path | None  # folder of the file, for relative paths
    problems: list[Problem]
    dropped: list[Problem] = attrs.field(
        factory=list
    )  # inherited keys that a replaced provider does not have

    warn_renamed: bool = True  # log old names of settings

    def report(self, at: Position, path: str, message: str) -> Any:
        """Record a problem; returns `INVALID`."""
        self.problems.append(Problem(at, path, message))
        return INVALID

    @abc.abstractmethod
    def convert(
        self, node: Node, hint: Any, path: str, meta: Mapping[str, Any], default: Any = attrs.NOTHING
    ) -> Any:
        """The value of a node as the type `hint`."""

    @abc.abstractmethod
    def record(
        self,
        node: Node,
        cls: type,
        path: str,
        *,
        base: Any = None,
        below: MappingNode | None = None,
        owner: str = "",
    ) -> Any:
        """An instance of a settings class.

        Args:
            base: instance whose values are the defaults.
            below: values of a preset, which those of the node override.
            owner: provider that the settings belong to, for messages.
        """

    @abc.abstractmethod
    def use(
        self, node: Node, path: str, meta: Mapping[str, Any], default: Any = attrs.NOTHING, *, weighted: bool
    ) -> Any:
        """A `Use` with its settings.

        Args:
            weighted: whether it is an element of a list, which has a weight.
        """

    @abc.abstractmethod
    def complete(self, default: Any, path: str, meta: Mapping[str, Any], at: Position) -> Any:
        """A default value, in which every provider gets its settings and its implementation.

        Args:
            at: position of the record that omits the value.
        """
