"""Types and values as error messages name them."""

from __future__ import annotations

import collections.abc
import pathlib
import types
import typing
from typing import Any

from parc_core.config.fields import Use
from parc_core.config.nodes import MappingNode, Node, ScalarNode, SequenceNode

__all__ = ["advice", "describe_type", "show"]

_MAX_DIGITS = 18  # of a number that a message repeats
_SCALARS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a string",
    pathlib.Path: "a path",
}


def show(node: Node) -> str:
    """A value as a message quotes it."""
    if isinstance(node, MappingNode):
        return "`key: value` pairs"
    if isinstance(node, SequenceNode):
        return f"a list of {len(node.items)}"
    value = node.value if isinstance(node, ScalarNode) else None
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= 60 and value.isprintable() else f"{value!r:.60}..."
    return f"{value!r}"


def advice(node: Node, hint: Any) -> str:
    """What to write instead of a common mistake; empty for any other."""
    value = node.value if isinstance(node, ScalarNode) else None
    if hint is int and isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f". Write {int(value)}"
    if hint is bool and isinstance(value, str) and value.lower() in ("yes", "no", "on", "off"):
        return f". Write {'true' if value.lower() in ('yes', 'on') else 'false'}"
    if hint in (str, pathlib.Path) and isinstance(value, (int, float)):
        return ". Put it in quotes"
    digits = value.strip().replace("_", "") if isinstance(value, str) else ""
    if hint in (int, float) and digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS:
        return f". Write {int(digits)} without quotes"
    if isinstance(node, ScalarNode) and typing.get_origin(hint) in (tuple, list) and value is not None:
        return f". Write [{value}]"
    return ""


def describe_type(hint: Any) -> str:
    """A type as a message names it, e.g. ``an integer``."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is None or hint is type(None):
        return "nothing"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe_type(member) for member in args if member is not type(None))
    if origin is typing.Literal:
        return f"one of {', '.join(repr(option) for option in args)}"
    if origin is tuple and args and args[-1] is not Ellipsis:
        return f"a list of {len(args)} values"
    if origin in (tuple, list, collections.abc.Sequence):
        return "a list"
    if hint is Use:
        return "`use: name` with settings"
    return _SCALARS.get(hint, "`key: value` pairs")
