"""Single values: numbers, truth values, strings, paths, and choices among literals."""

from __future__ import annotations

import os
import pathlib
import typing
from collections.abc import Mapping
from typing import Any

from parc_core.config.converter import Converter
from parc_core.config.fields import range_problem
from parc_core.config.nodes import Node, ScalarNode
from parc_core.config.wording import advice, describe_type, show

__all__ = ["convert_literal", "convert_scalar"]


def convert_scalar(work: Converter, node: Node, hint: Any, path: str, meta: Mapping[str, Any]) -> Any:
    """The value of a scalar type; a float may be written as an integer."""
    value: Any = node.value if isinstance(node, ScalarNode) else None
    kind = float if hint is float and type(value) is int else type(value)
    wanted = str if hint is pathlib.Path else hint
    if hint is type(None) and value is None and isinstance(node, ScalarNode):
        return None
    if not isinstance(node, ScalarNode) or kind is not wanted:
        text = f"expected {describe_type(hint)}, got {show(node)}{advice(node, hint)}"
        return work.report(node.at, path, text)
    if hint is pathlib.Path or (hint is str and meta.get("path")):
        return _convert_path(work, node, hint, path)
    problem = range_problem(meta, value)
    if problem:
        return work.report(node.at, path, problem)
    return float(value) if hint is float else value


def convert_literal(work: Converter, node: Node, hint: Any, path: str) -> Any:
    """One of the values of a `Literal`."""
    if isinstance(node, ScalarNode):
        for option in typing.get_args(hint):
            if type(option) is type(node.value) and option == node.value:
                return option
    return work.report(node.at, path, f"{show(node)} is not allowed, expected {describe_type(hint)}")


def _convert_path(work: Converter, node: ScalarNode, hint: Any, path: str) -> Any:
    text = os.path.expanduser(node.value)
    if not text or not text.isprintable():
        return work.report(node.at, path, f"{node.value!r:.60} is not a file name, expected a path")
    beside = os.path.join(work.base, text) if work.base is not None else text
    return hint(os.path.abspath(beside if os.path.exists(beside) else text))
