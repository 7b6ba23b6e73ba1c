"""Settings that change between iterations: blocks under ``from``, each over the settings of the iteration before."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import attrs

from parc_core.config.converter import Converter
from parc_core.config.fields import Use, key_of
from parc_core.config.iteration import PER_ITERATION, Changes, IterationConfig
from parc_core.config.nodes import INVALID, Key, MappingNode, Node, Position, ScalarNode, to_plain
from parc_core.config.renamed import rename_keys
from parc_core.config.wording import show

__all__ = ["FROM", "convert_iteration", "with_block"]

FROM = "from"
_NUMBER = re.compile(r"[2-9]|[1-9][0-9]{1,5}")
_FIRST_ONLY = {  # setting: the stage's model, which later iterations take from the iteration before
    ("train_gen", "input_model_path"): "generator",
    ("train_tracker", "in_model_file"): "policy",
}


def convert_iteration(work: Converter, node: MappingNode) -> Any:
    """The settings of a run; the blocks of ``from`` are checked once those of the first iteration are right."""
    keys = dict(node.keys)
    written = keys.pop(FROM, None)
    config = work.record(attrs.evolve(node, keys=keys), IterationConfig, "")
    if written is None:
        return config
    blocks = _blocks(work, written.node)
    if config is INVALID or blocks is INVALID:
        return INVALID
    changes: dict[int, Changes] = {}
    last = config
    for number in sorted(blocks):
        block, where = blocks[number], f"{FROM}.{number}"
        value = work.record(block, IterationConfig, where, base=last)
        if value is INVALID:
            continue  # later blocks are checked all the same
        last = value
        given = {name: _as_read(work, key.node, getattr(value, name)) for name, key in block.keys.items()}
        changes[number] = Changes(
            written=given, values={name: getattr(value, name) for name in PER_ITERATION}
        )
    return attrs.evolve(config, from_=changes) if len(changes) == len(blocks) else INVALID


def with_block(node: MappingNode, number: str, at: Position) -> MappingNode:
    """The values of a file with a block for an iteration, an empty one if it has none."""
    written = node.keys.get(FROM)
    blocks = written.node if written is not None else MappingNode(at=at, keys={})
    if not isinstance(blocks, MappingNode) or number in blocks.keys:
        return node
    empty = Key(at=at, node=MappingNode(at=at, keys={}))
    blocks = attrs.evolve(blocks, keys={**blocks.keys, number: empty})
    return attrs.evolve(node, keys={**node.keys, FROM: Key(at=at, node=blocks)})


def _blocks(work: Converter, node: Node) -> Any:
    """The blocks by number of iteration, or `INVALID` if one has a key that it cannot have."""
    if not isinstance(node, MappingNode):
        if isinstance(node, ScalarNode) and node.value is INVALID:
            return INVALID
        text = f"expected numbers of iterations with the settings that change there, got {show(node)}"
        return work.report(node.at, FROM, text)
    before = len(work.problems)
    blocks = {}
    for number, key in node.keys.items():
        where = f"{FROM}.{number}"
        if not _NUMBER.fullmatch(number):
            text = (
                f"'{number:.60}' is not the number of an iteration after the first, expected 2 or higher. Settings of "
                "the first iteration stand outside of `from`"
            )
            work.report(key.at, where, text)
        elif isinstance(key.node, MappingNode):
            _check_keys(work, key.node, where)
            blocks[int(number)] = key.node
        elif not (isinstance(key.node, ScalarNode) and key.node.value is INVALID):
            work.report(key.node.at, where, f"expected `key: value` pairs, got {show(key.node)}")
    return blocks if len(work.problems) == before and len(blocks) == len(node.keys) else INVALID


def _check_keys(work: Converter, block: MappingNode, where: str) -> None:
    every = [key_of(field) for field in attrs.fields(IterationConfig)]
    for name, key in block.keys.items():
        if name in PER_ITERATION:
            continue
        if name in every:
            text = f"holds for the whole run and cannot change; what can is {', '.join(PER_ITERATION)}"
        else:
            close = difflib.get_close_matches(name, PER_ITERATION, n=1)
            known = f"closest is '{close[0]}'" if close else f"known are {', '.join(PER_ITERATION)}"
            text = f"unknown key '{name:.60}', {known}"
        work.report(key.at, f"{where}.{name}", text)
    for (stage, name), model in _FIRST_ONLY.items():
        node = block.keys[stage].node if stage in block.keys else None
        if isinstance(node, MappingNode) and name in node.keys:
            text = f"only the first iteration starts from it; later ones start from the {model} of the one before"
            work.report(node.keys[name].at, f"{where}.{stage}.{name}", f"{text}. Remove it")


def _as_read(work: Converter, node: Node, value: Any) -> Any:
    """The keys of a node with the values that were read: paths that were found, full names of providers.

    Written to another folder and read again, they give the same settings.
    """
    if not isinstance(node, MappingNode):
        return {"use": value.name} if isinstance(value, Use) else value
    if isinstance(value, Use):
        reserved = {}
        if "use" in node.keys:
            reserved["use"] = value.name
        if "preset" in node.keys and _has_preset(value, node.keys["preset"].node):
            reserved["preset"] = to_plain(node.keys["preset"].node)
        settings = {name: key for name, key in node.keys.items() if name not in ("use", "preset")}
        return reserved | _as_read(work, attrs.evolve(node, keys=settings), value.config)
    if attrs.has(type(value)):
        node = rename_keys(work, node, type(value), "", warn=False)
        fields = {key_of(field): field.name for field in attrs.fields(type(value)) if field.init}
        # keys that the provider does not have were written for another one, which an option has replaced
        return {
            name: _as_read(work, key.node, getattr(value, fields[name]))
            for name, key in node.keys.items()
            if name in fields
        }
    if isinstance(value, Mapping):
        return {
            name: _as_read(work, key.node, value.get(name))
            for name, key in node.keys.items()
            if name in value or not key.inherited
        }
    return value  # a list is written whole


def _has_preset(use: Use, node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value in getattr(type(use.config), "PRESETS", {})
