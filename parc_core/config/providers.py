"""Providers: the name is resolved, and the settings beside it, over a preset, become its settings class."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import attrs

from parc_core.config.classes import class_hints
from parc_core.config.converter import Converter
from parc_core.config.fields import Use
from parc_core.config.nodes import (
    INVALID,
    Key,
    MappingNode,
    Node,
    Position,
    Problem,
    ScalarNode,
    to_node,
    to_plain,
)
from parc_core.config.scalars import convert_scalar
from parc_core.config.wording import show
from parc_core.errors import ConfigError, PluginError
from parc_core.plugins import WEIGHTED_KINDS
from parc_core.plugins.provider import reserved_keys

__all__ = ["complete_use", "convert_use"]


def convert_use(
    work: Converter, node: Node, path: str, meta: Mapping[str, Any], default: Any, *, weighted: bool
) -> Any:
    """A `Use` with its settings and its implementation; the arguments are those of `Converter.use`."""
    kind = meta.get("kind")
    if kind is None:
        message = "the setting holds a provider of unknown kind. Its class has to say setting(kind=...)"
        return work.report(node.at, path, message)
    node, path_of_name = _as_mapping(work, node, kind, path, default)
    if not isinstance(node, MappingNode):
        message = f"expected the name of a {kind} or `use: name` with settings, got {show(node)}"
        return INVALID if _is_invalid(node) else work.report(node.at, path, message)
    target = _resolve(work, node, kind, path, path_of_name)
    if target is INVALID:
        return INVALID
    name, cls, written = target.name, target.settings_class(), to_plain(node.keys["use"].node)
    weight = 1.0 if kind in WEIGHTED_KINDS else _weight(work, node.keys.get("weight"), path, weighted)
    preset = _preset(work, node.keys.get("preset"), cls, name, path)
    keys = {key: value for key, value in node.keys.items() if key not in reserved_keys(kind)}
    config = work.record(
        MappingNode(at=node.at, keys=keys),
        cls,
        path,
        base=default.config if isinstance(default, Use) and default.name in (name, written) else None,
        below=None if preset is INVALID else preset,
        owner=name,
    )
    if INVALID in (weight, preset) or config is INVALID:
        return INVALID
    return Use(name, config, weight, kind=kind, target=target)


def complete_use(work: Converter, use: Use, path: str, meta: Mapping[str, Any], at: Position) -> Any:
    """A default `Use` with the settings that it does not have yet and its implementation."""
    if use.config is not None and use.target is not None:
        return use
    value = work.use(to_node({"use": use.name}, at), path, meta, use, weighted=False)
    return value if value is INVALID else attrs.evolve(value, weight=use.weight)


def _resolve(work: Converter, node: MappingNode, kind: str, path: str, path_of_name: str) -> Any:
    """The `Target` that the key `use` names, whose settings class can be read."""
    if "use" not in node.keys:
        return work.report(node.at, path, f"the key 'use' is missing; it names the {kind}")
    name_node = node.keys["use"].node
    if _is_invalid(name_node):
        return INVALID
    if not isinstance(name_node, ScalarNode) or not isinstance(name_node.value, str):
        message = f"expected the name of a {kind}, got {show(name_node)}"
        return work.report(name_node.at, path_of_name, message)
    try:
        target = work.registry.resolve(kind, name_node.value, base=work.base)
        class_hints(target.settings_class())
    except (PluginError, ConfigError) as err:
        return work.report(name_node.at, path_of_name, str(err))
    return target


def _as_mapping(work: Converter, node: Node, kind: str, path: str, default: Any) -> tuple[Node, str]:
    """The long form of a `Use`, and the path at which its name was written."""
    path_of_name = f"{path}.use"
    if isinstance(node, ScalarNode) and isinstance(node.value, str):
        node, path_of_name = MappingNode(at=node.at, keys={"use": Key(at=node.at, node=node)}), path
    if not isinstance(node, MappingNode):
        return node, path
    keys = dict(node.keys)
    if "use" not in keys and isinstance(default, Use):
        keys = {"use": Key(at=node.at, node=ScalarNode(at=node.at, value=default.name)), **keys}
    elif kind == "motion_source" and "path" not in keys and "use" in keys:
        use = keys["use"]  # a folder or a motion list may be written in place of a name
        source = _source_of_path(work, use.node)
        if source is not None:
            name = ScalarNode(at=use.node.at, value=source)
            keys |= {"use": Key(at=use.at, node=name), "path": Key(at=use.at, node=use.node)}
    return MappingNode(at=node.at, keys=keys), path_of_name


def _source_of_path(work: Converter, node: Node) -> str | None:
    """The motion source that reads what is written in place of its name, None if that is not a path."""
    value = node.value if isinstance(node, ScalarNode) else None
    if isinstance(value, str) and value.endswith((".yaml", ".yml")):
        return "list"
    return "folder" if _is_folder(work, node) else None


def _is_folder(work: Converter, node: Node) -> bool:
    value = node.value if isinstance(node, ScalarNode) else None
    if not isinstance(value, str) or any(
        value == item.provider.name for item in work.registry.providers("motion_source")
    ):
        return False
    here = os.path.join(work.base, value) if work.base is not None else value
    if ".py:" in value:
        return False
    return "/" in value or value.startswith((".", "~")) or os.path.isdir(here) or os.path.isdir(value)


def _is_invalid(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value is INVALID


def _weight(work: Converter, key: Key | None, path: str, weighted: bool) -> Any:
    if key is None or (not weighted and key.inherited):
        return 1.0
    if not weighted:
        return work.report(key.at, f"{path}.weight", "only entries of a list have a weight. Remove it")
    return convert_scalar(work, key.node, float, f"{path}.weight", {"ge": 0, "le": 1e9})


def _preset(work: Converter, key: Key | None, cls: type, name: str, path: str) -> Any:
    if key is None:
        return None
    presets = getattr(cls, "PRESETS", {})
    value = key.node.value if isinstance(key.node, ScalarNode) else None
    if isinstance(value, str) and value in presets:
        return to_node(dict(presets[value]), key.node.at)
    if value is INVALID:
        return INVALID
    where, text = f"{path}.preset", f"'{name}' has no preset {show(key.node)}"
    if key.inherited:
        work.dropped.append(Problem(key.at, where, f"{text}; left out"))
        return None
    known = f"its presets are {', '.join(presets)}" if presets else "it has no presets"
    return work.report(key.node.at, where, f"{text}; {known}")
