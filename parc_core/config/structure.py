"""From nodes to typed settings: strict, and everything that is wrong is reported at once.

Types that a settings class may use: int, float (an integer will do), bool, str, None, unions, Literal,
``tuple[T, ...]``, fixed tuples, ``list[T]``, ``dict[str, T]``, `pathlib.Path`, other attrs classes, and `Use`.
"""

from __future__ import annotations

import collections.abc
import difflib
import os
import pathlib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import attrs

from parc_core.config.classes import class_hints, overlay
from parc_core.config.fields import Use, range_problem
from parc_core.config.nodes import (
    INVALID,
    InvalidConfig,
    Key,
    MappingNode,
    Node,
    Position,
    Problem,
    ScalarNode,
    SequenceNode,
    to_node,
    to_plain,
)
from parc_core.config.wording import advice, describe_type, show
from parc_core.errors import ConfigError, PluginError
from parc_core.plugins.registry import RESERVED, Registry

__all__ = ["Structured", "structure"]

T = TypeVar("T")
_NO_META: Mapping[str, Any] = types.MappingProxyType({})
_CONTAINERS = (tuple, list, dict, collections.abc.Mapping, collections.abc.Sequence)


@attrs.frozen
class Structured:
    """Settings, and the inherited keys that did not apply to a provider chosen by ``--set``."""

    config: Any
    dropped: tuple[Problem, ...]


def structure(
    node: Node,
    cls: type,
    registry: Registry,
    *,
    base: pathlib.Path | None = None,
    problems: Iterable[Problem] = (),
) -> Structured:
    """The settings that the nodes spell.

    Args:
        cls: attrs class of the settings.
        registry: resolves the names in `Use` fields.
        base: folder for relative paths; they are looked for there first, then in the current directory.
        problems: what the reader found already; reported together with what is found here.

    Raises:
        InvalidConfig: anything is wrong; the text lists all of it, in the order of the file.
    """
    work = _Structurer(registry, base, list(problems))
    value = work.convert(node, cls, "", _NO_META)
    if work.problems or value is INVALID:
        raise InvalidConfig(work.problems)
    return Structured(value, tuple(work.dropped))


@attrs.define
class _Structurer:
    registry: Registry
    base: pathlib.Path | None
    problems: list[Problem]
    dropped: list[Problem] = attrs.field(factory=list)

    def convert(
        self, node: Node, hint: Any, path: str, meta: Mapping[str, Any], default: Any = attrs.NOTHING
    ) -> Any:
        """The value of a node as the type `hint`, or `INVALID` after reporting why not."""
        if isinstance(node, ScalarNode) and node.value is INVALID:
            return INVALID
        origin = typing.get_origin(hint)
        if origin in (typing.Union, types.UnionType):
            return self._union(node, hint, path, meta, default)
        if hint is Use:
            return self._use(node, path, meta, default, weighted=False)
        if hint is Any:
            return to_plain(node)
        if origin is typing.Literal:
            return self._literal(node, hint, path)
        if origin in _CONTAINERS or hint in _CONTAINERS:
            return self._container(node, hint, path, meta)
        if isinstance(hint, type) and attrs.has(hint):
            return self._record(node, hint, path, base=default if isinstance(default, hint) else None)
        return self._scalar(node, hint, path, meta)

    def _report(self, at: Position, path: str, message: str) -> Any:
        self.problems.append(Problem(at, path, message))
        return INVALID

    # --- single values

    def _scalar(self, node: Node, hint: Any, path: str, meta: Mapping[str, Any]) -> Any:
        value = node.value if isinstance(node, ScalarNode) else None
        kind = float if hint is float and type(value) is int else type(value)
        wanted = str if hint is pathlib.Path else hint
        if hint is type(None) and value is None and isinstance(node, ScalarNode):
            return None
        if not isinstance(node, ScalarNode) or kind is not wanted:
            return self._report(
                node.at, path, f"expected {describe_type(hint)}, got {show(node)}{advice(node, hint)}"
            )
        if hint is pathlib.Path or (hint is str and meta.get("path")):
            return self._path(node, hint, path)
        problem = range_problem(meta, value)
        if problem:
            return self._report(node.at, path, problem)
        return float(value) if hint is float else value

    def _literal(self, node: Node, hint: Any, path: str) -> Any:
        options = typing.get_args(hint)
        if isinstance(node, ScalarNode):
            for option in options:
                if type(option) is type(node.value) and option == node.value:
                    return option
        return self._report(node.at, path, f"{show(node)} is not allowed, expected {describe_type(hint)}")

    def _path(self, node: ScalarNode, hint: Any, path: str) -> Any:
        text = os.path.expanduser(node.value)
        if not text or not text.isprintable():
            return self._report(node.at, path, f"{node.value!r:.60} is no file name, expected a path")
        beside = os.path.join(self.base, text) if self.base is not None else text
        return hint(os.path.abspath(beside if os.path.exists(beside) else text))

    def _union(self, node: Node, hint: Any, path: str, meta: Mapping[str, Any], default: Any) -> Any:
        members = typing.get_args(hint)
        if isinstance(node, ScalarNode) and node.value is None and type(None) in members:
            return None
        members = tuple(member for member in members if member is not type(None))
        if len(members) == 1:
            return self.convert(node, members[0], path, meta, default)
        before = len(self.problems)
        for member in members:
            value = self.convert(node, member, path, meta, default)
            if len(self.problems) == before and value is not INVALID:
                return value
            del self.problems[before:]
        return self._report(node.at, path, f"expected {describe_type(hint)}, got {show(node)}")

    # --- several values

    def _container(self, node: Node, hint: Any, path: str, meta: Mapping[str, Any]) -> Any:
        origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
        if origin in (dict, collections.abc.Mapping):
            return self._dictionary(node, args[1] if len(args) == 2 else Any, path, meta)
        of_use = bool(args) and args[0] is Use
        if of_use and not isinstance(node, SequenceNode):
            node = SequenceNode(at=node.at, items=(node,))  # one may stand without brackets
        if not isinstance(node, SequenceNode):
            return self._report(
                node.at, path, f"expected {describe_type(hint)}, got {show(node)}{advice(node, hint)}"
            )
        fixed = origin is tuple and bool(args) and args[-1] is not Ellipsis
        if fixed and len(node.items) != len(args):
            return self._report(
                node.at, path, f"expected {describe_type(hint)}, got {len(node.items)} values"
            )
        if of_use:
            values = [
                self._use(item, f"{path}.{i}", meta, attrs.NOTHING, weighted=True)
                for i, item in enumerate(node.items)
            ]
        else:
            hints = args if fixed else (args[0] if args else Any,) * len(node.items)
            values = [
                self.convert(item, kind, f"{path}.{i}", meta)
                for i, (item, kind) in enumerate(zip(node.items, hints))
            ]
        if any(value is INVALID for value in values):
            return INVALID
        return values if origin is list else tuple(values)

    def _dictionary(self, node: Node, hint: Any, path: str, meta: Mapping[str, Any]) -> Any:
        if not isinstance(node, MappingNode):
            return self._report(node.at, path, f"expected `name: value` pairs, got {show(node)}")
        values = {
            name: self.convert(key.node, hint, f"{path}.{name}", meta) for name, key in node.keys.items()
        }
        return INVALID if any(value is INVALID for value in values.values()) else values

    # --- records

    def _record(
        self,
        node: Node,
        cls: type,
        path: str,
        *,
        base: Any = None,
        below: MappingNode | None = None,
        owner: str = "",
    ) -> Any:
        if not isinstance(node, MappingNode):
            return self._report(node.at, path, f"expected `key: value` pairs, got {show(node)}")
        hints = class_hints(cls)
        fields = {field.alias: field for field in attrs.fields(cls) if field.init}
        self._unknown_keys(node, fields, path, owner)
        if below is not None:
            self._unknown_keys(below, fields, path, owner)
        given: dict[str, Any] = {}
        for name, field in fields.items():
            default = _default(field, base)
            lower = below.keys.get(name) if below is not None else None
            key = node.keys.get(name)
            value_node = overlay(lower.node if lower else None, key.node if key else None, hints[field.name])
            where = f"{path}.{name}" if path else name
            if value_node is not None:
                given[name] = self.convert(value_node, hints[field.name], where, field.metadata, default)
            elif default is attrs.NOTHING:
                given[name] = self._missing(node, field, hints[field.name], where)
            elif default is not _COMPUTED:
                given[name] = self._complete(default, field, where, node.at)
        if any(value is INVALID for value in given.values()):
            return INVALID
        return self._construct(cls, given, node.at, path)

    def _construct(self, cls: type, given: dict[str, Any], at: Position, path: str) -> Any:
        try:
            return cls(**given)
        except (ValueError, TypeError, ConfigError) as err:  # the class's own checks, across settings
            message = err.args[0] if err.args and isinstance(err.args[0], str) else str(err)
            return self._report(at, path, " ".join(message.split()))

    def _missing(self, node: Node, field: attrs.Attribute[Any], hint: Any, path: str) -> Any:
        text = f", {field.metadata['help']}" if field.metadata.get("help") else ""
        return self._report(node.at, path, f"the key is missing, expected {describe_type(hint)}{text}")

    def _unknown_keys(self, node: MappingNode, fields: Mapping[str, Any], path: str, owner: str) -> None:
        for name, key in node.keys.items():
            if name in fields:
                continue
            where = f"{path}.{name}" if path else name
            if key.inherited:
                self.dropped.append(Problem(key.at, where, f"'{owner}' has no such setting; left out"))
                continue
            close = difflib.get_close_matches(name, fields, n=1)
            known = f"closest is '{close[0]}'" if close else f"known are {', '.join(fields) or 'none'}"
            see = f"; see `parc plugins {owner}`" if owner else ""
            self._report(key.at, where, f"unknown key '{name:.60}', {known}{see}")

    def _complete(self, default: Any, field: attrs.Attribute[Any], path: str, at: Position) -> Any:
        """A default value, in which providers that are only named get their settings."""
        if isinstance(default, Use) and default.config is None:
            return self._use(
                to_node({"use": default.name}, at), path, field.metadata, attrs.NOTHING, weighted=False
            )
        if isinstance(default, tuple) and any(
            isinstance(item, Use) and item.config is None for item in default
        ):
            nodes = [to_node({"use": item.name, "weight": item.weight}, at) for item in default]
            values = [
                self._use(node, f"{path}.{i}", field.metadata, attrs.NOTHING, weighted=True)
                for i, node in enumerate(nodes)
            ]
            return INVALID if any(value is INVALID for value in values) else tuple(values)
        if attrs.has(type(default)) and not isinstance(default, Use):
            return self._record(MappingNode(at=at, keys={}), type(default), path, base=default)
        return default

    # --- providers

    def _use(self, node: Node, path: str, meta: Mapping[str, Any], default: Any, *, weighted: bool) -> Any:
        kind = meta.get("kind")
        if kind is None:
            return self._report(
                node.at,
                path,
                "the setting names a provider of no kind. Its class has to say setting(kind=...)",
            )
        node, path_of_name = self._as_mapping(node, kind, path, default)
        if not isinstance(node, MappingNode):
            return self._report(
                node.at,
                path,
                f"expected the name of a {kind} or `use: name` with settings, got {show(node)}",
            )
        name_node = node.keys["use"].node if "use" in node.keys else None
        if name_node is None:
            return self._report(node.at, path, f"the key 'use' is missing; it names the {kind}")
        if not isinstance(name_node, ScalarNode) or not isinstance(name_node.value, str):
            if isinstance(name_node, ScalarNode) and name_node.value is INVALID:
                return INVALID
            return self._report(
                name_node.at, path_of_name, f"expected the name of a {kind}, got {show(name_node)}"
            )
        name = name_node.value
        try:
            cls = self.registry.load_config_class(kind, name)
            class_hints(cls)
        except PluginError as err:
            return self._report(name_node.at, path_of_name, str(err))
        weight = self._weight(node.keys.get("weight"), path, weighted)
        preset = self._preset(node.keys.get("preset"), cls, name, path)
        settings = MappingNode(
            at=node.at, keys={key: value for key, value in node.keys.items() if key not in RESERVED}
        )
        inherited_config = default.config if isinstance(default, Use) and default.name == name else None
        config = self._record(
            settings,
            cls,
            path,
            base=inherited_config,
            below=None if preset is INVALID else preset,
            owner=name,
        )
        return INVALID if INVALID in (weight, preset) or config is INVALID else Use(name, config, weight)

    def _as_mapping(self, node: Node, kind: str, path: str, default: Any) -> tuple[Node, str]:
        """The long form of a `Use`, and the path at which its name was written."""
        path_of_name = f"{path}.use"
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            node, path_of_name = MappingNode(at=node.at, keys={"use": Key(at=node.at, node=node)}), path
        if not isinstance(node, MappingNode):
            return node, path
        keys = dict(node.keys)
        if "use" not in keys and isinstance(default, Use):
            keys = {"use": Key(at=node.at, node=ScalarNode(at=node.at, value=default.name)), **keys}
        elif (
            kind == "motion_source"
            and "use" in keys
            and "path" not in keys
            and self._is_folder(keys["use"].node)
        ):
            use = keys["use"]  # a folder may stand where a name is expected
            keys |= {
                "use": Key(at=use.at, node=ScalarNode(at=use.node.at, value="folder")),
                "path": Key(at=use.at, node=use.node),
            }
        return MappingNode(at=node.at, keys=keys), path_of_name

    def _is_folder(self, node: Node) -> bool:
        value = node.value if isinstance(node, ScalarNode) else None
        if not isinstance(value, str) or any(
            value == item.provider.name for item in self.registry.providers("motion_source")
        ):
            return False
        here = os.path.join(self.base, value) if self.base is not None else value
        return "/" in value or value.startswith((".", "~")) or os.path.isdir(here) or os.path.isdir(value)

    def _weight(self, key: Key | None, path: str, weighted: bool) -> Any:
        if key is None or (not weighted and key.inherited):
            return 1.0
        if not weighted:
            return self._report(key.at, f"{path}.weight", "only entries of a list have a weight. Remove it")
        return self._scalar(key.node, float, f"{path}.weight", {"ge": 0})

    def _preset(self, key: Key | None, cls: type, name: str, path: str) -> Any:
        if key is None:
            return None
        presets = getattr(cls, "PRESETS", {})
        value = key.node.value if isinstance(key.node, ScalarNode) else None
        if isinstance(value, str) and value in presets:
            return to_node(dict(presets[value]), key.node.at)
        if value is INVALID:
            return INVALID
        if key.inherited:
            self.dropped.append(
                Problem(key.at, f"{path}.preset", f"'{name}' has no preset {show(key.node)}; left out")
            )
            return None
        known = f"its presets are {', '.join(presets)}" if presets else "it has no presets"
        return self._report(
            key.node.at, f"{path}.preset", f"'{name}' has no preset {show(key.node)}; {known}"
        )


_COMPUTED: Any = object()  # a default that the class works out itself from other fields


def _default(field: attrs.Attribute[Any], base: Any) -> Any:
    if base is not None:
        return getattr(base, field.name)
    if isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
        return _COMPUTED if field.default.takes_self else field.default.factory()
    return field.default
