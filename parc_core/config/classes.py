"""Settings classes as the loader sees them: resolved types, and how a user's keys lie over a preset."""

from __future__ import annotations

import functools
import typing
from typing import Any

import attrs

from parc_core.config.fields import Use
from parc_core.config.nodes import Key, MappingNode, Node, ScalarNode
from parc_core.errors import BrokenPlugin

__all__ = ["class_hints", "overlay"]


@functools.cache
def class_hints(cls: type) -> dict[str, Any]:
    """Field name -> type of an attrs class, string annotations resolved.

    Raises:
        BrokenPlugin: an annotation names something that its module does not have at run time.
    """
    try:
        hints = typing.get_type_hints(cls)
    except (NameError, TypeError, AttributeError) as err:
        raise BrokenPlugin(
            f"{cls.__module__}.{cls.__qualname__}: an annotation cannot be resolved: {err}. Import the name."
        ) from err
    return {field.name: hints.get(field.name, Any) for field in attrs.fields(cls)}


def overlay(lower: Node | None, upper: Node | None, hint: Any) -> Node | None:
    """The user's value over a preset's: records and settings of one provider are merged, anything else replaced."""
    if lower is None or upper is None:
        return upper if upper is not None else lower
    record = any(
        member is Use or (isinstance(member, type) and attrs.has(member))
        for member in (hint, *typing.get_args(hint))
    )
    if not record or not isinstance(lower, MappingNode) or not isinstance(upper, MappingNode):
        return upper
    names = [_scalar_value(node.keys.get("use")) for node in (lower, upper)]
    if "use" in upper.keys and names[0] != names[1]:
        return upper
    hints = class_hints(hint) if isinstance(hint, type) and hint is not Use and attrs.has(hint) else {}
    merged = dict(lower.keys)
    for name, key in upper.keys.items():
        node = overlay(lower.keys[name].node if name in lower.keys else None, key.node, hints.get(name, Any))
        merged[name] = attrs.evolve(key, node=node)
    return MappingNode(at=upper.at, keys=merged)


def _scalar_value(key: Key | None) -> Any:
    return key.node.value if key is not None and isinstance(key.node, ScalarNode) else None
