"""Everything that changes during a training: what a checkpoint holds, and how it is restored exactly."""

from __future__ import annotations

import collections
import logging
from typing import Any

import attrs
import torch
from torch import Tensor

from parc_core.interfaces import TrackerEnv
from parc_motion.errors import DataError
from parc_motion.storage import Checkpoint
from parc_rl.optimizer_state import load_optimizer, optimizer_tensors
from parc_rl.selection import Score
from parc_rl.stats import EpisodeStats
from parc_sac.networks import Actor, SacNetwork
from parc_sac.replay import Replay

__all__ = ["BestPolicy", "TrainingState"]

log = logging.getLogger(__name__)

_SLOWER = 0.5  # of the learning rate, after a divergence


@attrs.frozen(kw_only=True, eq=False)
class BestPolicy:
    """The policy with the best evaluation so far."""

    score: Score
    samples: int
    evaluation: dict[str, Any]
    weights: dict[str, Tensor]


@attrs.define(kw_only=True, eq=False)
class TrainingState:
    """Networks, optimizers, replay, random generators, counters, statistics and evaluations."""

    network: SacNetwork
    average: Actor | None  # the EMA of the actor; None: there is none
    model: dict[str, Any]  # settings of the networks, JSON values
    support: Tensor  # [Z] returns over which critics give distributions
    actor_optimizer: torch.optim.Optimizer
    critic_optimizer: torch.optim.Optimizer
    alpha_optimizer: torch.optim.Optimizer
    replay: Replay
    explore: torch.Generator  # of the actions that are taken
    noise: torch.Generator  # of the actions in losses
    draws: torch.Generator  # of samples from the replay
    stats: EpisodeStats
    iteration: int = 0
    samples: int = 0
    updates: int = 0  # gradient steps of the critics
    actor_from: int = 0  # samples from which on the actor learns
    went_back: dict[str, Any] | None = (
        None  # that it diverged, once: the `cause`, and the checkpoint `to` which
    )
    evaluation: dict[str, Any] | None = None  # the last one
    best: BestPolicy | None = None

    @property
    def learning_rate_factor(self) -> float:
        """What the scheduled learning rate is multiplied by: half after a divergence."""
        return 1.0 if self.went_back is None else _SLOWER

    def policy_weights(self) -> dict[str, Tensor]:
        """Weights of the policy to evaluate and save: those of the network, with the averaged actor."""
        weights = dict(self.network.state_dict())
        if self.average is not None:
            weights |= {f"actor.{name}": value for name, value in self.average.state_dict().items()}
        return weights

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a checkpoint, ``<group>/<name>``."""
        groups: dict[str, dict[str, Tensor]] = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict() if self.average is not None else {},
            "best": self.best.weights if self.best else {},
            "replay": self.replay.tensors(),
            "rng": {name: generator.get_state() for name, generator in self._generators().items()},
            "stats": self.stats.tensors(),
        }
        groups |= {name: optimizer_tensors(optimizer) for name, optimizer in self._optimizers().items()}
        return {f"{group}/{name}": value for group, entry in groups.items() for name, value in entry.items()}

    def values(self, env: TrackerEnv, threads: int) -> dict[str, Any]:
        """The JSON values of a checkpoint of a training with so many PyTorch threads."""
        best = self.best and {
            "score": attrs.asdict(self.best.score),
            "samples": self.best.samples,
            "evaluation": self.best.evaluation,
        }
        return {
            "iteration": self.iteration,
            "samples": self.samples,
            "updates": self.updates,
            "actor_from": self.actor_from,
            "threads": threads,
            "model": self.model,
            "normalizer_samples": self.network.normalizer.max_samples,
            "went_back": self.went_back,
            "evaluation": self.evaluation,
            "best": best,
            "curriculum": env.curriculum_state(),
        }

    def load(self, checkpoint: Checkpoint, env: TrackerEnv, threads: int, where: str) -> None:
        """Restore a checkpoint that `tensors` and `values` made, into this state and the environment.

        Args:
            threads: PyTorch threads.
            where: the checkpoint's folder, for messages.

        Raises:
            DataError: its networks or its replay are not those of the settings.
        """
        values = checkpoint.state
        if values["model"] != self.model:
            raise DataError(
                f"{where}: its networks are {values['model']}, the settings say {self.model}. Set them back, or remove "
                "the checkpoints to train from scratch."
            )
        if values["threads"] != threads:
            log.warning(
                "Checkpoint of a run with %d threads, now %d: results will differ in the last bits.",
                values["threads"],
                threads,
            )
        groups: dict[str, dict[str, Tensor]] = collections.defaultdict(dict)
        for key, tensor in checkpoint.tensors.items():
            group, name = key.split("/", 1)
            groups[group][name] = tensor
        try:
            self.replay.load(groups["replay"])
        except ValueError as err:
            raise DataError(
                f"{where}: it holds {err}. Set num_envs and replay_size back, or remove the checkpoints to train from "
                "scratch."
            ) from err
        self.network.load_state_dict(groups["network"])
        if self.average is not None:
            own = {name[6:]: value for name, value in groups["network"].items() if name.startswith("actor.")}
            # without an average in the checkpoint, `average_decay` was 0 until now: it starts here
            self.average.load_state_dict(groups["average"] or own)
        self.network.normalizer.max_samples = values["normalizer_samples"]
        for name, optimizer in self._optimizers().items():
            load_optimizer(optimizer, groups[name])
        for name, generator in self._generators().items():
            generator.set_state(groups["rng"][name])
        self.stats.load(groups["stats"])
        self.iteration, self.samples, self.updates = values["iteration"], values["samples"], values["updates"]
        self.actor_from, self.went_back = values["actor_from"], values["went_back"]
        self.evaluation, self.best = values["evaluation"], None
        if values["best"]:
            fields = {**values["best"], "score": Score(**values["best"]["score"])}
            self.best = BestPolicy(**fields, weights=groups["best"])
        env.load_curriculum(values["curriculum"])

    def _generators(self) -> dict[str, torch.Generator]:
        return {"explore": self.explore, "noise": self.noise, "draws": self.draws}

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            "actor_optimizer": self.actor_optimizer,
            "critic_optimizer": self.critic_optimizer,
            "alpha_optimizer": self.alpha_optimizer,
        }
