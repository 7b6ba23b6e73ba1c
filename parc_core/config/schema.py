"""JSON Schema of iteration files with the settings of every installed provider, for editors."""

from __future__ import annotations

import collections.abc
import pathlib
import types
import typing
from collections.abc import Mapping
from typing import Any

import attrs

from parc_core.config.classes import class_hints, holds_entries
from parc_core.config.dumping import dump
from parc_core.config.fields import Use, key_of
from parc_core.config.iteration import PER_ITERATION, IterationConfig
from parc_core.errors import PluginError
from parc_core.plugins import KINDS, Registered, Registry
from parc_core.plugins.provider import reserved_keys

__all__ = ["iteration_schema"]

_SCALARS = {int: "integer", float: "number", bool: "boolean", str: "string", pathlib.Path: "string"}
_OUTSIDE = r"^(.*\.py|[A-Za-z_][\w.]*):[A-Za-z_]\w*$"  # code that no plugin registered
_LATER = "^([2-9]|[1-9][0-9]+)$"  # numbers of iterations after the first
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def iteration_schema(registry: Registry) -> dict[str, Any]:
    """The schema (draft 2020-12) of an iteration file for what is installed.

    A provider whose settings cannot be imported accepts any setting. ``${NAME}`` in place of a number is accepted by
    the loader and not by the schema.
    """
    definitions = {f"{kind}_use": _kind(registry, kind) for kind in KINDS}
    definitions |= {f"{kind}_entries": _entries(registry, kind) for kind in KINDS}
    record = _without_use(_record(IterationConfig))
    record["properties"]["from"] |= _changes(record["properties"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "PARC iteration file",
        **record,
        "$defs": definitions,
    }


def _changes(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What stands under ``from``: by the number of an iteration, the keys that may change."""
    block = {
        "type": "object",
        "properties": {name: properties[name] for name in PER_ITERATION},
        "additionalProperties": False,
    }
    return {"type": "object", "patternProperties": {_LATER: block}, "additionalProperties": False}


def _without_use(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of settings whose providers need no name, because a default or an earlier iteration names them."""
    if "$ref" in schema:
        settings = {"type": "object", "not": {"required": ["use"]}}
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        return {"anyOf": [{"$ref": schema["$ref"]}, settings], **rest}
    if {"type": "null"} in schema.get("anyOf", ()):
        return {**schema, "anyOf": [_without_use(member) for member in schema["anyOf"]]}
    if "properties" not in schema:
        return dict(schema)
    inner = {name: _without_use(value) for name, value in schema["properties"].items()}
    return {**schema, "properties": inner}


def _kind(registry: Registry, kind: str) -> dict[str, Any]:
    """What may be written for a provider of a kind: a name, or a name with settings."""
    installed = registry.providers(kind)
    short = [item.provider.name for item in installed]
    names = sorted(
        {name for name in short if short.count(name) == 1} | {item.qualified for item in installed}
    )
    options: list[dict[str, Any]] = [{"type": "string"} if kind == "motion_source" else {"enum": names}]
    for item in installed:
        unique = short.count(item.provider.name) == 1
        own = [item.provider.name, item.qualified] if unique else [item.qualified]
        options.append(_provider(registry, item, own))
    outside = {"type": "string", "pattern": _OUTSIDE, "not": {"enum": names}}
    return {
        "anyOf": [*options, outside, {"type": "object", "properties": {"use": outside}, "required": ["use"]}]
    }


def _entries(registry: Registry, kind: str) -> dict[str, Any]:
    """Providers of a kind by the name of their entry; null takes a default entry out."""
    use: dict[str, Any] = {"$ref": f"#/$defs/{kind}_use"}
    without = {"type": "object", "not": {"required": ["use"]}}
    properties = {}
    for item in registry.providers(kind):
        settings = {**_provider(registry, item, [item.provider.name]), **without}
        settings.pop("required", None)
        properties[item.provider.name] = {"anyOf": [use, settings, {"type": "null"}]}
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": {"anyOf": [use, without, {"type": "null"}]},
    }


def _provider(registry: Registry, item: Registered, names: list[str]) -> dict[str, Any]:
    head: dict[str, Any] = {"use": {"enum": names, "description": item.provider.summary}}
    if "weight" in reserved_keys(item.provider.kind):
        weight = "Relative weight of this entry in a list of several."
        head["weight"] = {"type": "number", "minimum": 0, "maximum": 1e9, "description": weight}
    try:
        cls = registry.load_config_class(item.provider.kind, item.qualified)
        record = _record(cls)
    except PluginError:
        return {"type": "object", "properties": head, "required": ["use"]}
    presets = list(getattr(cls, "PRESETS", {}))
    if presets:
        head["preset"] = {
            "enum": presets,
            "description": "Named set of values, overridden by the ones written here.",
        }
    required = (
        ["use"] if presets else ["use", *record.get("required", [])]
    )  # a preset may give required values
    return {**record, "properties": {**head, **record["properties"]}, "required": required}


def _record(cls: type) -> dict[str, Any]:
    hints = class_hints(cls)
    fields = [field for field in attrs.fields(cls) if field.init]
    properties = {key_of(field): _property(field, hints[field.name]) for field in fields}
    for old, new in getattr(cls, "RENAMED", {}).items():
        places = (new,) if isinstance(new, str) else new
        properties[old] = {"deprecated": True, "description": f"Now called {' and '.join(places)}."}
    required = [key_of(field) for field in fields if field.default is attrs.NOTHING]
    record: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return record | ({"required": required} if required else {})


def _property(field: attrs.Attribute[Any], hint: Any) -> dict[str, Any]:
    meta = field.metadata
    schema = _type(hint, meta)
    unit = f" ({meta['unit']})" if meta.get("unit") else ""
    if meta.get("help"):
        schema["description"] = meta["help"] + unit
    if meta.get("choices"):
        schema["enum"] = [dump(choice) for choice in meta["choices"]]
    if type(field.default) in (int, float, bool, str):
        schema["default"] = field.default
    return schema


def _type(hint: Any, meta: Mapping[str, Any]) -> dict[str, Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is type(None):
        return {"type": "null"}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_type(member, meta) for member in args]}
    if hint is Use:
        return {"$ref": f"#/$defs/{meta['kind']}_use"}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if holds_entries(hint):
        return {"$ref": f"#/$defs/{meta['kind']}_entries"}
    if origin in (dict, collections.abc.Mapping):
        return {"type": "object", "additionalProperties": _type(args[1], meta)}
    if origin in (tuple, list, collections.abc.Sequence):
        return _array(origin, args, meta)
    if isinstance(hint, type) and attrs.has(hint):
        return _record(hint)
    if hint not in _SCALARS:
        return {}
    bounds = {key: meta[name] for name, key in _BOUNDS.items() if meta.get(name) is not None}
    return {"type": _SCALARS[hint], **(bounds if hint in (int, float) else {})}


def _array(origin: Any, args: tuple[Any, ...], meta: Mapping[str, Any]) -> dict[str, Any]:
    if origin is tuple and args and args[-1] is not Ellipsis:
        return {
            "type": "array", "prefixItems": [_type(arg, meta) for arg in args],
            "minItems": len(args), "maxItems": len(args),
        }  # fmt: skip
    array = {"type": "array", "items": _type(args[0], meta) if args else {}}
    return {"anyOf": [array, _type(Use, meta)]} if args and args[0] is Use else array
