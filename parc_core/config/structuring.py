"""From nodes to typed settings: strict, and all errors are reported together.

Types that a settings class may use: int, float (an integer is accepted), bool, str, None, unions, Literal,
``tuple[T, ...]``, fixed tuples, ``list[T]``, ``dict[str, T]``, `pathlib.Path`, other attrs classes, and `Use`.
"""

from __future__ import annotations

import collections.abc
import pathlib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from parc_core.config.changes import convert_iteration
from parc_core.config.containers import convert_container
from parc_core.config.converter import Converter
from parc_core.config.fields import Use
from parc_core.config.iteration import IterationConfig
from parc_core.config.nodes import (
    INVALID,
    InvalidConfig,
    MappingNode,
    Node,
    Position,
    Problem,
    ScalarNode,
    to_plain,
)
from parc_core.config.providers import complete_use, convert_use
from parc_core.config.records import complete_default, convert_record
from parc_core.config.scalars import convert_literal, convert_scalar
from parc_core.config.wording import describe_type, show
from parc_core.plugins import Registry

__all__ = ["Structured", "structure"]

_NO_META: Mapping[str, Any] = types.MappingProxyType({})
_CONTAINERS = (tuple, list, dict, collections.abc.Mapping, collections.abc.Sequence)


@attrs.frozen
class Structured:
    """Settings, and the keys of the file that do not apply to a provider chosen by ``--set``."""

    config: Any
    dropped: tuple[Problem, ...]


def structure(
    node: Node,
    cls: type,
    registry: Registry,
    *,
    base: pathlib.Path | None = None,
    problems: Iterable[Problem] = (),
    warn_renamed: bool = True,
) -> Structured:
    """The typed settings in a tree of nodes.

    Args:
        cls: attrs class of the settings.
        registry: resolves the names in `Use` fields.
        base: folder for relative paths; they are searched there first, then in the current directory.
        problems: errors that the reader found; reported together with those found here.
        warn_renamed: whether old names of settings are logged.

    Raises:
        InvalidConfig: there is any error; the text lists all of them, in the order of the file.
    """
    work = _Structurer(registry, base, list(problems), warn_renamed=warn_renamed)
    if cls is IterationConfig and isinstance(node, MappingNode):
        value = convert_iteration(work, node)
    else:
        value = work.convert(node, cls, "", _NO_META)
    if work.problems or value is INVALID:
        raise InvalidConfig(work.problems)
    return Structured(value, tuple(work.dropped))


@attrs.define
class _Structurer(Converter):
    """Dispatches each value by its type to the part of the loader that converts it."""

    def convert(
        self, node: Node, hint: Any, path: str, meta: Mapping[str, Any], default: Any = attrs.NOTHING
    ) -> Any:
        """The value of a node as the type `hint`, or `INVALID` after reporting why not."""
        if isinstance(node, ScalarNode) and node.value is INVALID:
            return INVALID
        origin = typing.get_origin(hint)
        if origin in (typing.Union, types.UnionType):
            return self._union(node, hint, path, meta, default)
        if hint is Use:
            return self.use(node, path, meta, default, weighted=False)
        if hint is Any:
            return to_plain(node)
        if origin is typing.Literal:
            return convert_literal(self, node, hint, path)
        if origin in _CONTAINERS or hint in _CONTAINERS:
            return convert_container(self, node, hint, path, meta, default)
        if isinstance(hint, type) and attrs.has(hint):
            return self.record(node, hint, path, base=default if isinstance(default, hint) else None)
        return convert_scalar(self, node, hint, path, meta)

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
        """An instance of a settings class."""
        return convert_record(self, node, cls, path, base, below, owner)

    def use(
        self, node: Node, path: str, meta: Mapping[str, Any], default: Any = attrs.NOTHING, *, weighted: bool
    ) -> Any:
        """A `Use` with its settings."""
        return convert_use(self, node, path, meta, default, weighted=weighted)

    def complete(self, default: Any, path: str, meta: Mapping[str, Any], at: Position) -> Any:
        """A default value with its providers completed."""
        if isinstance(default, Use):
            return complete_use(self, default, path, meta, at)
        return complete_default(self, default, path, meta, at)

    def _union(self, node: Node, hint: Any, path: str, meta: Mapping[str, Any], default: Any) -> Any:
        members = typing.get_args(hint)
        if isinstance(node, ScalarNode) and node.value is None and type(None) in members:
            return None
        members = tuple(member for member in members if member is not type(None))
        if Use in members and isinstance(node, MappingNode):
            members = (
                Use,
            )  # so that what is wrong with its settings is reported, and not the type as a whole
        if len(members) == 1:
            return self.convert(node, members[0], path, meta, default)
        before = len(self.problems)
        for member in members:
            value = self.convert(node, member, path, meta, default)
            if len(self.problems) == before and value is not INVALID:
                return value
            del self.problems[before:]
        return self.report(node.at, path, f"expected {describe_type(hint)}, got {show(node)}")
