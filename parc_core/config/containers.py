"""Several values: lists, tuples, dictionaries, lists of providers, and providers by the name of their entry."""

from __future__ import annotations

import collections.abc
import difflib
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from parc_core.config.classes import holds_entries
from parc_core.config.converter import Converter
from parc_core.config.fields import Use
from parc_core.config.nodes import INVALID, REMOVED, Key, MappingNode, Node, Problem, ScalarNode, SequenceNode
from parc_core.config.wording import advice, describe_type, show

__all__ = ["convert_container"]


def convert_container(
    work: Converter, node: Node, hint: Any, path: str, meta: Mapping[str, Any], default: Any
) -> Any:
    """The values of a list, tuple or dictionary type."""
    origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    if holds_entries(hint):
        return _convert_entries(work, node, path, meta, default if isinstance(default, Mapping) else {})
    if origin in (dict, collections.abc.Mapping):
        return _convert_dictionary(work, node, args[1] if len(args) == 2 else Any, path, meta)
    if args and args[0] is Use:
        return _convert_providers(work, node, origin, path, meta)
    return _convert_sequence(work, node, hint, path, meta)


def _convert_providers(work: Converter, node: Node, origin: Any, path: str, meta: Mapping[str, Any]) -> Any:
    """A list of providers, each with its weight; a single one may be written without brackets."""
    items = node.items if isinstance(node, SequenceNode) else (node,)
    values = [work.use(item, f"{path}.{i}", meta, weighted=True) for i, item in enumerate(items)]
    return INVALID if _any_invalid(values) else (values if origin is list else tuple(values))


def _convert_sequence(work: Converter, node: Node, hint: Any, path: str, meta: Mapping[str, Any]) -> Any:
    origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    if not isinstance(node, SequenceNode):
        text = f"expected {describe_type(hint)}, got {show(node)}{advice(node, hint)}"
        return work.report(node.at, path, text)
    fixed = origin is tuple and bool(args) and args[-1] is not Ellipsis
    if fixed and len(node.items) != len(args):
        return work.report(node.at, path, f"expected {describe_type(hint)}, got {len(node.items)} values")
    hints = args if fixed else (args[0] if args else Any,) * len(node.items)
    values = [
        work.convert(item, kind, f"{path}.{i}", meta) for i, (item, kind) in enumerate(zip(node.items, hints))
    ]
    if _any_invalid(values):
        return INVALID
    return values if origin is list else tuple(values)


def _convert_dictionary(work: Converter, node: Node, hint: Any, path: str, meta: Mapping[str, Any]) -> Any:
    if not isinstance(node, MappingNode):
        return work.report(node.at, path, f"expected `name: value` pairs, got {show(node)}")
    values = {name: work.convert(key.node, hint, f"{path}.{name}", meta) for name, key in node.keys.items()}
    return INVALID if _any_invalid(values.values()) else values


def _convert_entries(
    work: Converter, node: Node, path: str, meta: Mapping[str, Any], default: Mapping[str, Use]
) -> Any:
    """Providers by the name of their entry: the file's entries merged over the default ones, null takes one out."""
    if not isinstance(node, MappingNode):
        return work.report(node.at, path, f"expected `name: {{use: ...}}` pairs, got {show(node)}")
    values: dict[str, Any] = {}
    for name, use in default.items():
        if name not in node.keys:
            values[name] = work.complete(use, f"{path}.{name}", meta, node.at)
        elif not _is_taken_out(node.keys[name]):
            values[name] = _convert_entry(work, name, node.keys[name], path, meta, use)
    for name, key in node.keys.items():
        if name in default:
            continue
        if not _is_taken_out(key):
            values[name] = _convert_entry(work, name, key, path, meta, None)
        elif not _refers_to_preset(key) and _report_absent(work, name, key, path, default) is INVALID:
            values[name] = INVALID
    return INVALID if _any_invalid(values.values()) else values


def _convert_entry(
    work: Converter, name: str, key: Key, path: str, meta: Mapping[str, Any], default: Use | None
) -> Any:
    """One entry; without `use`, the default's provider of that entry or the provider called like the entry."""
    node = key.node
    if isinstance(node, MappingNode) and "use" not in node.keys and default is None:
        use = Key(at=key.at, node=ScalarNode(at=key.at, value=name))
        node = attrs.evolve(node, keys={"use": use, **node.keys})
    return work.use(node, f"{path}.{name}", meta, default, weighted=False)


def _is_taken_out(key: Key) -> bool:
    return isinstance(key.node, ScalarNode) and (key.node.value is None or key.node.value is REMOVED)


def _refers_to_preset(key: Key) -> bool:
    return isinstance(key.node, ScalarNode) and key.node.value is REMOVED


def _report_absent(work: Converter, name: str, key: Key, path: str, default: Mapping[str, Use]) -> Any:
    where = f"{path}.{name}"
    if key.inherited:
        work.dropped.append(Problem(key.at, where, "the default has no such entry; left out"))
        return None
    close = difflib.get_close_matches(name, default, n=1)
    known = f"closest is '{close[0]}'" if close else f"the default has {', '.join(default) or 'none'}"
    return work.report(key.at, where, f"null takes a default entry out, and '{name:.60}' is not one; {known}")


def _any_invalid(values: Iterable[Any]) -> bool:
    return any(value is INVALID for value in values)
