"""Untyped values of a file, each with its position."""

from __future__ import annotations

from typing import Any

import attrs

from parc_core.errors import ConfigError

__all__ = [
    "INVALID",
    "REMOVED",
    "InvalidConfig",
    "Key",
    "MappingNode",
    "Node",
    "Position",
    "Problem",
    "ScalarNode",
    "SequenceNode",
    "to_node",
    "to_plain",
]


@attrs.frozen
class Position:
    """The position of a value: a file, line and column counted from 1, or an option of the command line."""

    source: str
    line: int = 0  # 0: the source has no lines
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@attrs.frozen
class Problem:
    """One error in a file or option."""

    at: Position
    path: str  # dotted key, "" for the file as a whole
    message: str

    def __str__(self) -> str:
        return f"{self.at}: {self.path + ': ' if self.path else ''}{self.message}"


class InvalidConfig(ConfigError):
    """A file or its overrides are invalid; `problems` lists every error."""

    def __init__(self, problems: list[Problem]) -> None:
        ordered = sorted(
            dict.fromkeys(problems),
            key=lambda problem: (problem.at.source, problem.at.line, problem.at.column),
        )
        super().__init__("\n".join(str(problem) for problem in ordered))
        self.problems = tuple(ordered)


@attrs.frozen(kw_only=True)
class Node:
    """A value and its position."""

    at: Position


@attrs.frozen(kw_only=True)
class ScalarNode(Node):
    """None, a truth value, a number or a string; `INVALID` where a problem was already reported."""

    value: Any


@attrs.frozen(kw_only=True)
class SequenceNode(Node):
    """Values in order."""

    items: tuple[Node, ...]


@attrs.frozen(kw_only=True)
class Key:
    """A key with its value; `inherited` if it was written for a provider that an option has replaced."""

    at: Position
    node: Node
    inherited: bool = False


@attrs.frozen(kw_only=True)
class MappingNode(Node):
    """Values by key, in the order of the file."""

    keys: dict[str, Key]


class _Marker:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


INVALID: Any = _Marker("INVALID")  # in place of a value whose problem was reported
REMOVED: Any = _Marker("REMOVED")  # in place of an entry of a preset that the user's null takes out


def to_node(value: Any, at: Position) -> Node:
    """Plain data (dicts, lists, tuples, scalars) as nodes that share one position: presets and defaults."""
    if isinstance(value, dict):
        return MappingNode(
            at=at, keys={str(key): Key(at=at, node=to_node(item, at)) for key, item in value.items()}
        )
    if isinstance(value, (list, tuple)):
        return SequenceNode(at=at, items=tuple(to_node(item, at) for item in value))
    return ScalarNode(at=at, value=value)


def to_plain(node: Node) -> Any:
    """Nodes as dicts, lists and scalars."""
    if isinstance(node, MappingNode):
        return {name: to_plain(key.node) for name, key in node.keys.items()}
    if isinstance(node, SequenceNode):
        return [to_plain(item) for item in node.items]
    return node.value if isinstance(node, ScalarNode) else None
