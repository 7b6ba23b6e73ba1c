"""The optimizer that augmentation uses: named on the command line, made by the registry."""

from __future__ import annotations

import attrs

from parc_core.config import InvalidConfig, Key, MappingNode, Position, Use, parse_text, setting, structure
from parc_core.errors import ConfigError
from parc_core.plugins import Registry

__all__ = ["optimizer_use", "with_threads", "without_threads"]


@attrs.frozen(kw_only=True)
class _Chosen:
    optimizer: Use = setting(kind="optimizer", help="what makes the variations fit their ground")


def optimizer_use(registry: Registry, text: str) -> Use:
    """The optimizer that a YAML text spells: a name, or ``{use: kinopt, jerk_limit: 2000}``.

    Raises:
        InvalidConfig: it is not YAML, or no optimizer with such settings exists.
    """
    value, problems = parse_text(text, f"--optimizer {text}", positions=False)
    if problems:
        raise InvalidConfig(problems)
    at = Position("--optimizer")
    node = MappingNode(at=at, keys={"optimizer": Key(at=at, node=value)})
    return structure(node, _Chosen, registry).config.optimizer


def with_threads(registry: Registry, use: Use, threads: int) -> Use:
    """The optimizer with that number of threads.

    Raises:
        ConfigError: it has no such setting.
    """
    config = use.config if use.config is not None else registry.load_config_class("optimizer", use.name)()
    if "threads" not in attrs.fields_dict(type(config)):
        raise ConfigError(
            f"--threads {threads}: the optimizer '{use.name}' has no threads to set. Leave it out."
        )
    return attrs.evolve(use, config=attrs.evolve(config, threads=threads))


def without_threads(use: Use) -> Use:
    """The optimizer with the default number of threads, which does not change results."""
    field = attrs.fields_dict(type(use.config)).get("threads") if use.config is not None else None
    if field is None:
        return use
    return attrs.evolve(use, config=attrs.evolve(use.config, threads=field.default))
