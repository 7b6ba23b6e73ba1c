"""The settings of a class as rows of data, for `parc plugins NAME` and documentation."""

from __future__ import annotations

import types
import typing
from typing import Any

import attrs

from parc_core.config.classes import COMPUTED, class_hints, default_of
from parc_core.config.dumping import dump
from parc_core.config.fields import Use, describe_range, key_of

__all__ = ["describe_settings", "type_name"]


def describe_settings(cls: type, prefix: str = "") -> list[dict[str, Any]]:
    """One row per setting: ``name, type, required, default, unit, range, choices, kind, help``.

    Settings inside another settings class follow it, with dotted names.
    """
    rows: list[dict[str, Any]] = []
    hints = class_hints(cls)
    for field in attrs.fields(cls):
        if not field.init:
            continue
        hint, meta = hints[field.name], field.metadata
        default = default_of(field)
        required = default is attrs.NOTHING
        rows.append(
            {
                "name": prefix + key_of(field),
                "type": type_name(hint),
                "required": required,
                "default": None if required or default is COMPUTED else dump(default),
                "unit": meta.get("unit", ""),
                "range": describe_range({**meta, "unit": ""}),
                "choices": list(meta.get("choices") or ()),
                "kind": meta.get("kind"),
                "help": meta.get("help", ""),
            }
        )
        if isinstance(hint, type) and attrs.has(hint) and hint is not Use:
            rows[-1]["default"] = None
            rows += describe_settings(hint, f"{prefix}{key_of(field)}.")
    return rows


def type_name(hint: Any) -> str:
    """A type as source code has it: ``int``, ``str | None``, ``tuple[float, ...]``."""
    if hint is type(None):
        return "None"
    args = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_name(arg) for arg in args)
    if origin is typing.Literal:
        return " | ".join(repr(arg) for arg in args)
    if origin is not None:
        inner = ", ".join("..." if arg is Ellipsis else type_name(arg) for arg in args)
        return f"{origin.__name__}[{inner}]"
    return getattr(hint, "__name__", str(hint))
