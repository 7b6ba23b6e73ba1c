"""Settings classes: keys become fields, missing ones get their defaults, unknown ones are refused."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import attrs

from parc_core.config.classes import COMPUTED, class_hints, default_of, overlay
from parc_core.config.converter import Converter
from parc_core.config.fields import Use, key_of
from parc_core.config.nodes import INVALID, MappingNode, Node, Position, Problem
from parc_core.config.renamed import rename_keys, rename_nested
from parc_core.config.wording import describe_type, show
from parc_core.errors import ConfigError, describe_error, error_text, is_interrupt

__all__ = ["complete_default", "convert_record"]


def convert_record(
    work: Converter, node: Node, cls: type, path: str, base: Any, below: MappingNode | None, owner: str
) -> Any:
    """An instance of a settings class; the arguments are those of `Converter.record`."""
    if not isinstance(node, MappingNode):
        return work.report(node.at, path, f"expected `key: value` pairs, got {show(node)}")
    hints = class_hints(cls)
    fields = {key_of(field): field for field in attrs.fields(cls) if field.init}
    node = rename_keys(work, node, cls, path)
    lower: Mapping[str, Any] = {}
    if below is not None:
        below = rename_keys(work, below, cls, path, warn=False)
        _report_unknown(work, below, fields, path, owner)
        lower = below.keys
    _report_unknown(work, node, fields, path, owner)
    given = {}
    for name, field in fields.items():
        pair = tuple(keys[name].node if name in keys else None for keys in (lower, node.keys))
        where = f"{path}.{name}" if path else name
        value = _field_value(work, field, hints[field.name], pair, default_of(field, base), where, node.at)
        if value is not COMPUTED:
            given[field.alias] = value
    if any(value is INVALID for value in given.values()):
        return INVALID
    return _construct(work, cls, given, node.at, path)


def complete_default(work: Converter, default: Any, path: str, meta: Mapping[str, Any], at: Position) -> Any:
    """A default value with its providers completed, as `Converter.complete` says."""
    if isinstance(default, (tuple, list)) and any(isinstance(item, Use) for item in default):
        values = [work.complete(item, f"{path}.{i}", meta, at) for i, item in enumerate(default)]
        return INVALID if any(value is INVALID for value in values) else type(default)(values)
    if isinstance(default, Mapping) and any(isinstance(item, Use) for item in default.values()):
        entries = {name: work.complete(item, f"{path}.{name}", meta, at) for name, item in default.items()}
        return INVALID if any(value is INVALID for value in entries.values()) else entries
    if attrs.has(type(default)):
        return work.record(MappingNode(at=at, keys={}), type(default), path, base=default)
    return default


def _field_value(
    work: Converter,
    field: attrs.Attribute[Any],
    hint: Any,
    pair: tuple[Node | None, ...],
    default: Any,
    path: str,
    at: Position,
) -> Any:
    """The value of one setting from the nodes of preset and file (`pair`), or its default."""
    below, above = pair
    if below is not None and above is not None:  # a preset's new name must not meet an old one
        below = rename_nested(work, below, hint, path, warn=False)
        above = rename_nested(work, above, hint, path)
    node = overlay(below, above, hint)
    if node is not None:
        return work.convert(node, hint, path, field.metadata, default)
    if default is attrs.NOTHING:
        text = f". {field.metadata['help']}" if field.metadata.get("help") else ""
        return work.report(at, path, f"the key is missing, expected {describe_type(hint)}{text}")
    return default if default is COMPUTED else work.complete(default, path, field.metadata, at)


def _construct(work: Converter, cls: type, given: dict[str, Any], at: Position, path: str) -> Any:
    try:
        return cls(**given)
    except (ValueError, TypeError, ConfigError) as err:  # the class's own checks, across settings
        message = err.args[0] if err.args and isinstance(err.args[0], str) else error_text(err)
        return work.report(at, path, " ".join(message.split()))
    except BaseException as err:  # code of a plugin
        if is_interrupt(err):
            raise
        return work.report(at, path, f"the checks of {cls.__name__} raised {describe_error(err)}")


def _report_unknown(
    work: Converter, node: MappingNode, fields: Mapping[str, Any], path: str, owner: str
) -> None:
    for name, key in node.keys.items():
        if name in fields:
            continue
        where = f"{path}.{name}" if path else name
        if key.inherited:
            work.dropped.append(Problem(key.at, where, f"'{owner}' has no such setting; left out"))
            continue
        close = difflib.get_close_matches(name, fields, n=1)
        known = f"closest is '{close[0]}'" if close else f"known are {', '.join(fields) or 'none'}"
        see = f"; see `parc plugins {owner}`" if owner else ""
        work.report(key.at, where, f"unknown key '{name:.60}', {known}{see}")
