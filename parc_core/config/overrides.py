"""``--set a.b.c=value``: changes to a file's values before they are typed."""

from __future__ import annotations

import re

import attrs

from parc_core.config.changes import FROM, with_block
from parc_core.config.iteration import IterationConfig
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
)
from parc_core.config.stage_file import StageFile
from parc_core.config.yaml_source import parse_text

__all__ = ["apply_override", "apply_stage_file"]

_INDEX = re.compile(r"0|[1-9][0-9]{0,3}")
_ITERATION = re.compile(r"[1-9][0-9]{0,5}")


def apply_override(node: MappingNode, override: str) -> tuple[MappingNode, list[Problem]]:
    """The values of a file with one of them changed, and the problems of the new one.

    Elements of lists are addressed by their index (``dataset.0.use=procedural``; the index after the last appends);
    in a list of one provider the index may be omitted.
    Where a provider is written by name only, ``.key`` addresses one of its settings; entries of a
    ``dict[str, Use]`` are addressed by their name, settings from an iteration on by its number
    (``from.3.kin_gen.candidates``). Changing a provider's ``use`` keeps
    the file's settings for it only as far as the new provider knows them, those of later blocks of ``from`` too; the
    others are marked `inherited` and dropped by `structure`.

    Raises:
        InvalidConfig: no ``=``, an empty key, or a value that is not YAML.
    """
    at = Position(f"--set {override}")
    path, equals, text = override.partition("=")
    parts = path.strip().split(".")
    if not equals or not all(parts):
        raise InvalidConfig(
            [Problem(at, "", "expected KEY=VALUE with a dotted key, e.g. kin_gen.candidates=16.")]
        )
    value, problems = parse_text(text, at.source, positions=False)
    if parts[0] == FROM and len(parts) > 1:
        node = with_block(node, parts[1], at)  # its number is a key, not the index of an element
    changed = _assign(node, parts, value, at, path.strip())
    assert isinstance(changed, MappingNode)  # the root remains a mapping
    if parts[-1] == "use":
        first, place = (parts[1], parts[2:-1]) if parts[0] == FROM else ("1", parts[:-1])
        changed = _inherit_in_blocks(changed, first, place)
    return changed, problems


def apply_stage_file(node: MappingNode, file: StageFile, config: IterationConfig) -> MappingNode:
    """The values of a run with those that a stage file changes.

    They hold as if ``--set`` gave them: from the first iteration on, or in the block of ``from`` of a later one.

    Args:
        config: the settings in `node`.
    """
    first = str(file.iteration)
    for changed in file.changes(config):
        place = list(changed.place)
        at = changed.key.at
        if file.iteration > 1:
            place = [FROM, first, *place]
            node = with_block(node, first, at)
        assigned = _assign(node, place, changed.key.node, at, changed.name)
        assert isinstance(assigned, MappingNode)  # the root remains a mapping
        node = assigned
        if isinstance(changed.key.node, MappingNode):  # another provider
            node = _inherit_in_blocks(node, first, list(changed.place))
    return node


def _assign(node: Node | None, parts: list[str], value: Node, at: Position, path: str) -> Node:
    if not parts:
        return value
    part, rest = parts[0], parts[1:]
    if _INDEX.fullmatch(part) and not (isinstance(node, MappingNode) and part in node.keys):
        return _assign_item(node, int(part), rest, value, at, path)
    if isinstance(node, SequenceNode) and len(node.items) == 1 and isinstance(node.items[0], MappingNode):
        return attrs.evolve(node, items=(_assign(node.items[0], parts, value, at, path),))
    if isinstance(node, SequenceNode):
        raise InvalidConfig(
            [
                Problem(
                    at,
                    path,
                    f"'{part}' follows a list of {len(node.items)}; write the index of an element, from 0.",
                )
            ]
        )
    keys = _keys(node)
    old = keys.get(part)
    new = _assign(old.node if old else None, rest, value, at, path)
    if part == "use" and not rest and (old is None or not _same(old.node, new)):
        keys = _inherit(keys)
    keys[part] = Key(at=at, node=new)
    return MappingNode(at=node.at if node is not None else at, keys=keys)


def _assign_item(
    node: Node | None, index: int, rest: list[str], value: Node, at: Position, path: str
) -> Node:
    if isinstance(node, SequenceNode):
        items = list(node.items)
    else:
        items = [] if node is None else [node]  # one provider may stand without brackets
    if index > len(items):
        raise InvalidConfig(
            [Problem(at, path, f"element {index} does not exist, the list has {len(items)}. Count from 0.")]
        )
    if index == len(items):
        items.append(_assign(None, rest, value, at, path))
    else:
        items[index] = _assign(items[index], rest, value, at, path)
    return SequenceNode(at=node.at if node is not None else at, items=tuple(items))


def _keys(node: Node | None) -> dict[str, Key]:
    """Keys of a node; a provider written by its name alone is expanded to its long form, anything else has no keys."""
    if isinstance(node, MappingNode):
        return dict(node.keys)
    if isinstance(node, ScalarNode) and isinstance(node.value, str) and node.value is not INVALID:
        return {"use": Key(at=node.at, node=node)}
    return {}


def _inherit(keys: dict[str, Key]) -> dict[str, Key]:
    """The keys, marked as written for another provider, where the file and not another option gave them."""
    return {
        name: attrs.evolve(key, node=_inherit_below(key.node), inherited=key.at.line > 0 or key.inherited)
        for name, key in keys.items()
    }


def _inherit_in_blocks(node: MappingNode, first: str, place: list[str]) -> MappingNode:
    """The same in the blocks of ``from`` after the iteration `first`, up to one that chooses a provider itself."""
    written = node.keys.get(FROM)
    if written is None or not isinstance(written.node, MappingNode) or not _ITERATION.fullmatch(first):
        return node
    blocks = dict(written.node.keys)
    for number in sorted(filter(_ITERATION.fullmatch, blocks), key=int):
        if int(number) > int(first):
            marked = _inherit_at(blocks[number].node, place)
            if marked is None:
                break
            blocks[number] = attrs.evolve(blocks[number], node=marked)
    changed = attrs.evolve(written, node=attrs.evolve(written.node, keys=blocks))
    return attrs.evolve(node, keys={**node.keys, FROM: changed})


def _inherit_at(node: Node, place: list[str]) -> Node | None:
    """The node with the settings at a dotted place marked, or None where it has another provider or a whole list."""
    if not isinstance(node, MappingNode) or "use" in node.keys:
        return None
    if not place:
        return attrs.evolve(node, keys=_inherit(node.keys))
    key = node.keys.get(place[0])
    if key is None:
        return node
    below = _inherit_at(key.node, place[1:])
    if below is None:
        return None
    return attrs.evolve(node, keys={**node.keys, place[0]: attrs.evolve(key, node=below)})


def _inherit_below(node: Node) -> Node:
    return attrs.evolve(node, keys=_inherit(node.keys)) if isinstance(node, MappingNode) else node


def _same(old: Node, new: Node) -> bool:
    return isinstance(old, ScalarNode) and isinstance(new, ScalarNode) and old.value == new.value
