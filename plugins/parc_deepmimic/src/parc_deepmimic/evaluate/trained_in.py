"""Finds the settings of the environment that a policy was trained in."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from parc_core.config import load_plain, load_settings
from parc_core.errors import ConfigError
from parc_core.interfaces import IterationFolder, Policy, RunFolder
from parc_core.plugins import Registry
from parc_deepmimic.evaluate.evaluation_envs import EvaluationSetup
from parc_motion.errors import DataError

__all__ = ["find_policy", "load_setup"]

_NAMES = ("env", "simulator", "agent")


def find_policy(path: pathlib.Path) -> Policy:
    """The policy in a folder, or in the folder `policy` or `p3_tracker/policy` below it.

    Raises:
        DataError: none is there, or its files are damaged.
    """
    for folder in (path, path / "policy", IterationFolder(path).policy):
        if (folder / "policy.json").is_file():
            return Policy.load(folder)
    raise DataError(
        f"{path}: no policy here (policy.json is missing). Give a folder that an agent wrote, e.g. "
        "RUN/iter_001/p3_tracker/policy, or name an agent that needs none: --agent mpc."
    )


def load_setup(
    registry: Registry,
    policy: Policy | None,
    *,
    agent: str | None = None,
    env_from: pathlib.Path | None = None,
    overrides: Sequence[str] = (),
) -> tuple[EvaluationSetup, str]:
    """The settings to evaluate with, and where they come from.

    Settings are those of `env_from`, else those that the policy records, else those that its run keeps beside it;
    ``key=value`` overrides apply to any of them. An agent without a policy gets defaults.

    Raises:
        DataError: the environment that the policy was trained in is not recorded anywhere.
        ConfigError: a setting is wrong.
    """
    place = env_from or (None if policy is None else policy.folder.parent)
    if env_from is None and policy is not None and isinstance(policy.extra.get("trained_in"), Mapping):
        found, source = dict(policy.extra["trained_in"]), str(policy.folder / "policy.json")
    elif place is not None and (env_from is not None or (place / "env.yaml").is_file()):
        found, source = _read(place)
    elif policy is not None and not any(text.startswith("env") for text in overrides):
        raise DataError(
            f"{policy.folder / 'policy.json'}: does not say in which environment the policy was trained. Give its run "
            "or iteration file with --env-from, or settings such as --set env.preset=cpu."
        )
    else:
        found, source = {}, "defaults"
    if policy is not None:  # the settings may be those of another agent
        known = found.get("agent")
        same = isinstance(known, Mapping) and known.get("use", "").rpartition(":")[2] == policy.agent
        found["agent"] = known if same else {"use": policy.agent}
    elif agent is not None:
        found["agent"] = {"use": agent}
    text = json.dumps({"character": "humanoid", **found}, indent=1)
    setup, _ = load_settings(
        text, source, EvaluationSetup, registry, overrides=overrides, warn_renamed=env_from is not None
    )
    return setup, source


def _read(place: pathlib.Path) -> tuple[dict[str, Any], str]:
    """The settings of env, simulator and agent in an iteration file, or in a run's, iteration's or tracker's folder."""
    file = place
    if place.is_dir():
        iteration = IterationFolder(place)
        beside = place / iteration.env_settings.name  # the place is a tracker's folder
        places = (RunFolder(place).config, beside, iteration.env_settings)
        file = next((one for one in places if one.is_file()), place)
    if not file.is_file():
        raise ConfigError(
            f"{place}: no settings of a tracker here. Give a run folder, one of its iterations, or an iteration file."
        )
    document = load_plain(file)
    inner = document.get("train_tracker", document) if isinstance(document, Mapping) else None
    if not isinstance(inner, Mapping) or not any(name in inner for name in _NAMES):
        raise ConfigError(
            f"{file}: says neither `train_tracker` nor `env`. Give a run folder, one of its iterations, or an "
            "iteration file."
        )
    found = {name: inner[name] for name in _NAMES if name in inner}
    if "agent" not in found and (file.parent / "agent.yaml").is_file():
        found |= load_plain(file.parent / "agent.yaml")
    if "character" in document:
        found["character"] = document["character"]
    return found, str(file)
