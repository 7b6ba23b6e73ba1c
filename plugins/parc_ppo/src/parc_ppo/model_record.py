"""A description of the networks in policies and checkpoints, and the way back from it to settings."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Mapping
from typing import Any

import attrs

from parc_core.config import Position, Use, dump, setting, structure, to_node
from parc_core.errors import ConfigError
from parc_core.plugins import Registry
from parc_motion.errors import DataError
from parc_ppo.config import ModelConfig

__all__ = [
    "describe_code",
    "describe_model",
    "read_model",
    "same_model",
    "warn_if_code_changed",
    "warn_if_other_networks",
]

log = logging.getLogger(__name__)

_NETS = ("actor_net", "critic_net")


def describe_model(model: ModelConfig) -> dict[str, Any]:
    """The settings of the networks as JSON values."""
    return dump(model)


def describe_code(model: ModelConfig) -> dict[str, dict[str, str]]:
    """Distribution and version, or the file's SHA-256, of networks that were chosen by class."""
    return {
        name: target.identity()
        for name in _NETS
        if isinstance(net := getattr(model, name), Use) and (target := net.complete().target) is not None
    }


def same_model(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two descriptions are of equal networks; where a file of networks lies does not count."""
    return _without_folders(first) == _without_folders(second)


def read_model(stored: Mapping[str, Any], where: str, given: ModelConfig) -> ModelConfig:
    """Settings of networks from their description.

    Args:
        where: what the description was read from, for messages.
        given: the agent's settings; a file of networks that has been moved is found by them.

    Raises:
        DataError: it describes no networks, or one of them is not available here.
    """
    fields: dict[str, Any] = dict(stored)
    try:
        fields |= {name: _stored_net(fields[name], getattr(given, name)) for name in _NETS}
        return ModelConfig(**fields)
    except (KeyError, TypeError, ValueError, ConfigError) as err:
        raise DataError(f"{where}: describes no network ({err}). Was it written by another version?") from err


def warn_if_code_changed(stored: Mapping[str, Any], model: ModelConfig, where: str) -> None:
    """Log that a network's code is not that with which the weights were trained; equal code is not required."""
    for name, code in describe_code(model).items():
        if stored.get(name, code) != code:
            log.warning("%s: the code of model.%s has changed since the weights were saved.", where, name)


def warn_if_other_networks(model: ModelConfig, given: ModelConfig, where: str) -> None:
    """Log that a policy has other networks than the agent's settings, which are then not used."""
    stored, here = _without_folders(describe_model(model)), _without_folders(describe_model(given))
    for name in _NETS:
        if stored[name] != here[name]:
            log.warning(
                "%s: its %s is %s and stays; model.%s, %s, is not used.",
                where,
                name,
                stored[name],
                name,
                here[name],
            )


@attrs.frozen(kw_only=True)
class _Stored:
    """One network as a policy describes it."""

    net: Use = setting(kind="policy_network", help="The network.")


def _stored_net(stored: Any, given: str | Use) -> str | Use:
    if not isinstance(stored, Mapping):
        return str(stored)
    name = str(stored["use"])
    if isinstance(given, Use) and _without_folder(given.name) == _without_folder(name):
        name = given.name
    node = to_node({"net": {**stored, "use": name}}, Position("policy.json"))
    use: Use = structure(node, _Stored, Registry.discover()).config.net
    return use


def _without_folders(description: Mapping[str, Any]) -> dict[str, Any]:
    plain = dict(description)
    for name in _NETS:
        if isinstance(net := plain.get(name), Mapping):
            plain[name] = {**net, "use": _without_folder(str(net["use"]))}
    return plain


def _without_folder(name: str) -> str:
    """``GatedMlp`` in a file, whichever folder it is in: ``my_nets.py:GatedMlp``; other names as they are."""
    path, colon, attribute = name.rpartition(":")
    return f"{pathlib.PurePath(path).name}{colon}{attribute}" if path.endswith(".py") else name
