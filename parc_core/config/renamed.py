"""Old names of settings: files that were written before a setting moved are read, with a warning.

A settings class lists them by their new place below itself::

    RENAMED: ClassVar[dict[str, str | tuple[str, ...]]] = {"w_pose": "terms.pose.weight"}
"""

from __future__ import annotations

import logging
from typing import Any

import attrs

from parc_core.config.classes import class_hints
from parc_core.config.converter import Converter
from parc_core.config.fields import Use
from parc_core.config.nodes import Key, MappingNode, Node, ScalarNode

__all__ = ["rename_keys", "rename_nested"]

log = logging.getLogger(__name__)
_warned: set[tuple[str, str]] = set()  # (place, key) of the warnings that this process has given


def rename_keys(
    work: Converter, node: MappingNode, cls: type, path: str, *, warn: bool = True
) -> MappingNode:
    """The keys of a record with the old names of its class's `RENAMED` moved to their new places.

    An old name beside its new one is a problem: which of the two was meant cannot be known.
    """
    for old, new in getattr(cls, "RENAMED", {}).items():
        key = node.keys.get(old)
        if key is None:
            continue
        places = (new,) if isinstance(new, str) else new
        before = f"{path}." if path else ""
        names = " and ".join(f"'{before}{place}'" for place in places)
        node = attrs.evolve(node, keys={name: item for name, item in node.keys.items() if name != old})
        taken = [place for place in places if _is_given(node, place.split("."))]
        if taken:
            text = f"is now called '{before}{taken[0]}', and both are given. Remove '{before}{old}'"
            work.report(key.at, f"{before}{old}", text)
            continue
        for place in places:
            moved = _place(node, place.split("."), key)
            assert isinstance(moved, MappingNode)
            node = moved
        if warn and work.warn_renamed and (str(key.at), old) not in _warned:
            _warned.add((str(key.at), old))
            log.warning("%s: '%s%s' is now called %s; the old name is still read", key.at, before, old, names)
    return node


def rename_nested(work: Converter, node: Node, hint: Any, path: str, *, warn: bool = True) -> Node:
    """The same for a record and the records inside it, before they are merged with those of a preset."""
    if not isinstance(node, MappingNode) or not isinstance(hint, type) or not attrs.has(hint) or hint is Use:
        return node
    node, hints = rename_keys(work, node, hint, path, warn=warn), class_hints(hint)
    keys = dict(node.keys)
    for name, key in keys.items():
        inner = rename_nested(work, key.node, hints.get(name), f"{path}.{name}", warn=warn)
        keys[name] = attrs.evolve(key, node=inner)
    return attrs.evolve(node, keys=keys)


def _is_given(node: Node, parts: list[str]) -> bool:
    """Whether the file gives the value at a dotted place, or a value in place of the record that holds it."""
    if not parts:
        return True
    if not isinstance(node, MappingNode):
        return not isinstance(node, ScalarNode) or not isinstance(
            node.value, str
        )  # a string names a provider
    return parts[0] in node.keys and _is_given(node.keys[parts[0]].node, parts[1:])


def _place(node: Node | None, parts: list[str], key: Key) -> Node:
    """The node with the value of `key` at a dotted place."""
    if not parts:
        return key.node
    keys = dict(node.keys) if isinstance(node, MappingNode) else {}
    if isinstance(node, ScalarNode):  # the short form of a provider
        keys["use"] = Key(at=node.at, node=node)
    old = keys.get(parts[0])
    below = _place(old.node if old else None, parts[1:], key)
    keys[parts[0]] = attrs.evolve(key, node=below)
    return MappingNode(at=node.at if node is not None else key.at, keys=keys)
