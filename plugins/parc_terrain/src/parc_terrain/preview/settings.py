"""Which terrain sources and which planner a preview shows."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import attrs

from parc_core.config import (
    InvalidConfig,
    IterationConfig,
    Key,
    MappingNode,
    Node,
    Position,
    Problem,
    ScalarNode,
    SequenceNode,
    Use,
    apply_override,
    parse_text,
    read_text,
    setting,
    structure,
    to_node,
)
from parc_core.plugins import Registry

__all__ = ["Ground", "load_ground"]


@attrs.frozen(kw_only=True)
class Ground:
    """What decides the terrains and paths of a preview."""

    terrain: tuple[Use, ...]  # with weights
    planner: Use
    seed: int
    file: pathlib.Path | None = None  # iteration file


@attrs.frozen(kw_only=True)
class _KinGen:
    """The part of stage 2 that a preview without a file has; it asks for no other plugin."""

    terrain: tuple[Use, ...] = setting(kind="terrain_source", help="Terrain sources, drawn by weight.")
    planner: Use = setting(kind="planner", help="Planner of paths over the terrain.")

    def __attrs_post_init__(self) -> None:
        if not self.terrain:
            raise ValueError("terrain: the list is empty, expected at least one terrain source")
        if sum(use.weight for use in self.terrain) <= 0:
            raise ValueError("terrain: all weights are 0, expected one above 0")


@attrs.frozen(kw_only=True)
class _WithoutFile:
    """The keys that ``--set`` may change when there is no iteration file."""

    kin_gen: _KinGen = setting(help="stage 2: generate motions")
    seed: int = setting(0, ge=0, le=2**63 - 1, help="Random seed.")


_DEFAULTS = {"kin_gen": {"terrain": "boxes", "planner": "astar"}}


def load_ground(
    registry: Registry,
    file: pathlib.Path | None = None,
    sources: Sequence[str] = (),
    planner: str | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
) -> Ground:
    """The settings of a preview: those of the file, then `sources` and `planner`, then the overrides.

    Args:
        file: iteration file; boxes and astar with their defaults when None.
        sources: YAML texts, each a terrain source or a list of them.
        planner: YAML text.
        overrides: ``kin_gen.terrain.num_boxes=20`` and the like.
        seed: takes the place of the file's.

    Raises:
        InvalidConfig: anything is wrong; the text lists all of it.
        ConfigError: the file cannot be read.
    """
    node, problems = _root(file)
    try:
        if sources:
            found, more = _read_options("--source", sources)
            node, problems = _with(node, "terrain", found), problems + more
        if planner is not None:
            value, more = parse_text(planner, f"--planner {planner}", positions=False)
            node, problems = _with(node, "planner", value), problems + more
        for override in overrides:
            node, more = apply_override(node, override)
            problems += more
    except InvalidConfig as err:
        raise InvalidConfig([*problems, *err.problems]) from err
    cls, base = (_WithoutFile, None) if file is None else (IterationConfig, file.parent)
    config = structure(node, cls, registry, base=base, problems=problems).config
    return Ground(
        terrain=config.kin_gen.terrain,
        planner=config.kin_gen.planner,
        seed=config.seed if seed is None else seed,
        file=file,
    )


def _root(file: pathlib.Path | None) -> tuple[MappingNode, list[Problem]]:
    problems: list[Problem] = []
    node = to_node(_DEFAULTS, Position("defaults"))
    if file is not None:
        node, problems = parse_text(read_text(file), str(file))
    if not isinstance(node, MappingNode):
        message = "the file holds no `key: value` lines. Is it an iteration file?"
        raise InvalidConfig([*problems, Problem(node.at, "", message)])
    return node, problems


def _read_options(option: str, texts: Sequence[str]) -> tuple[Node, list[Problem]]:
    """What several options of the same name give: one provider by itself, or a list."""
    items: list[Node] = []
    problems: list[Problem] = []
    for text in texts:
        node, more = parse_text(text, f"{option} {text}", positions=False)
        items += node.items if isinstance(node, SequenceNode) else [node]
        problems += more
    if len(items) == 1:  # then `--set` needs no index
        return items[0], problems
    return SequenceNode(at=Position(option), items=tuple(items)), problems


def _with(root: MappingNode, name: str, value: Node) -> MappingNode:
    """The file with ``kin_gen.<name>`` exchanged; a `kin_gen` that is not a mapping stays, to be reported."""
    old = root.keys.get("kin_gen")
    node = old.node if old else ScalarNode(at=value.at, value=None)
    if isinstance(node, ScalarNode) and node.value is None:
        node = MappingNode(at=node.at, keys={})
    if not isinstance(node, MappingNode):
        return root
    node = attrs.evolve(node, keys={**node.keys, name: Key(at=value.at, node=value)})
    key = attrs.evolve(old, node=node) if old else Key(at=value.at, node=node)
    return attrs.evolve(root, keys={**root.keys, "kin_gen": key})
