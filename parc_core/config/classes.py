"""Settings classes as the loader sees them: resolved types, defaults, and how a user's keys lie over a preset."""

from __future__ import annotations

import collections.abc
import functools
import typing
from typing import Any

import attrs

from parc_core.config.fields import Use
from parc_core.config.nodes import REMOVED, Key, MappingNode, Node, ScalarNode
from parc_core.errors import BrokenPlugin

__all__ = ["COMPUTED", "class_hints", "default_of", "holds_entries", "overlay"]

COMPUTED: Any = object()  # a default that the class computes from its other fields


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


def default_of(field: attrs.Attribute[Any], base: Any = None) -> Any:
    """The default of a setting: `attrs.NOTHING` where it is required, `COMPUTED` where the class works it out.

    Args:
        base: an instance of the class whose values are the defaults, instead of those of the class.
    """
    if base is not None:
        return getattr(base, field.name)
    factory = getattr(field.default, "factory", None)
    if factory is None:
        return field.default
    return COMPUTED if getattr(field.default, "takes_self", False) else factory()


def holds_entries(hint: Any) -> bool:
    """Whether a type is ``dict[str, Use]``: providers by the name of their entry."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    return origin in (dict, collections.abc.Mapping) and len(args) == 2 and args[1] is Use


def overlay(lower: Node | None, upper: Node | None, hint: Any) -> Node | None:
    """The user's value over a preset's: records, entries and settings of one provider are merged.

    Anything else is replaced.
    """
    if lower is None or upper is None:
        return upper if upper is not None else lower
    record = any(
        member is Use or (isinstance(member, type) and attrs.has(member))
        for member in (hint, *typing.get_args(hint))
    )
    if not record or not isinstance(lower, MappingNode) or not isinstance(upper, MappingNode):
        return upper
    names = [_scalar_value(node.keys.get("use")) for node in (lower, upper)]
    if not holds_entries(hint) and "use" in upper.keys and names[0] != names[1]:
        return upper
    hints = class_hints(hint) if isinstance(hint, type) and hint is not Use and attrs.has(hint) else {}
    merged = dict(lower.keys)
    for name, key in upper.keys.items():
        below = lower.keys[name].node if name in lower.keys else None
        if holds_entries(hint):
            node = _entry_over(below, key.node)
        else:
            node = overlay(below, key.node, hints.get(name, Any)) or key.node
        merged[name] = attrs.evolve(key, node=node)
    return MappingNode(at=upper.at, keys=merged)


def _entry_over(lower: Node | None, upper: Node) -> Node:
    """`overlay` of two entries of one name; null takes out that of the preset, whether or not it is a default too."""
    if lower is not None and isinstance(upper, ScalarNode) and upper.value is None:
        return attrs.evolve(upper, value=REMOVED)
    return overlay(lower, upper, Use) or upper


def _scalar_value(key: Key | None) -> Any:
    return key.node.value if key is not None and isinstance(key.node, ScalarNode) else None
