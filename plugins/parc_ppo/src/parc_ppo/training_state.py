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
from parc_ppo.actor_critic import ActorCritic
from parc_ppo.config import ModelConfig
from parc_ppo.extras import ExperienceExtras
from parc_ppo.model_record import describe_code, describe_model, same_model, warn_if_code_changed
from parc_rl.optimizer_state import load_optimizer, optimizer_tensors
from parc_rl.selection import Score
from parc_rl.stats import EpisodeStats

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
    """Networks, optimizer, random generators, counters, statistics and evaluations."""

    network: ActorCritic  # is trained
    policy: ActorCritic  # is evaluated and saved: the EMA of the network, or the network itself
    model: ModelConfig
    optimizer: torch.optim.Optimizer
    noise: torch.Generator  # of actions
    shuffle: torch.Generator  # of samples in an update
    stats: EpisodeStats
    extras: ExperienceExtras | None
    iteration: int = 0
    samples: int = 0
    rate_factor: float = 1.0  # KL-adaptive factor of the learning rate
    went_back: dict[str, Any] | None = (
        None  # that it diverged, once: the `cause`, and the checkpoint `to` which
    )
    evaluation: dict[str, Any] | None = None  # the last one
    best: BestPolicy | None = None

    @property
    def learning_rate_factor(self) -> float:
        """What the scheduled learning rate is multiplied by: half of the KL-adaptive factor after a divergence."""
        return self.rate_factor * (1.0 if self.went_back is None else _SLOWER)

    @property
    def has_ema(self) -> bool:
        """Whether the policy is an average of the network's weights."""
        return self.policy is not self.network

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a checkpoint, ``<group>/<name>``."""
        groups = {
            "network": self.network.state_dict(),
            "policy": self.policy.state_dict() if self.has_ema else {},
            "optimizer": optimizer_tensors(self.optimizer),
            "best": self.best.weights if self.best else {},
            "rng": {"noise": self.noise.get_state(), "shuffle": self.shuffle.get_state()},
            "stats": self.stats.tensors(),
            "extras": self.extras.tensors() if self.extras else {},
        }
        return {f"{group}/{name}": value for group, entry in groups.items() for name, value in entry.items()}

    def values(self, env: TrackerEnv, threads: int, processes: int) -> dict[str, Any]:
        """The JSON values of a checkpoint of a training with so many PyTorch threads in each of its processes."""
        best = self.best and {
            "score": attrs.asdict(self.best.score),
            "samples": self.best.samples,
            "evaluation": self.best.evaluation,
        }
        return {
            "iteration": self.iteration,
            "samples": self.samples,
            "threads": threads,
            "processes": processes,
            "model": describe_model(self.model),
            "network_code": describe_code(self.model),
            "normalizer_samples": self.network.normalizer.max_samples,
            "rate_factor": self.rate_factor,
            "went_back": self.went_back,
            "evaluation": self.evaluation,
            "best": best,
            "curriculum": env.curriculum_state(),
        }

    def load(self, checkpoint: Checkpoint, env: TrackerEnv, threads: int, processes: int, where: str) -> None:
        """Restore a checkpoint that `tensors` and `values` made, into this state and the environment.

        Args:
            threads: PyTorch threads of each process.
            processes: that train together.
            where: the checkpoint's folder, for messages.

        Raises:
            DataError: its networks are not those of the settings.
        """
        values = checkpoint.state
        self._check(values, threads, where)
        before = values.get("processes", 1)  # not in checkpoints of earlier versions
        if before != processes:
            log.info(
                "The checkpoint is that of a training in %d processes, now %d: weights and statistics go on, episodes "
                "and their random numbers begin again.",
                before,
                processes,
            )
        groups: dict[str, dict[str, Tensor]] = collections.defaultdict(dict)
        for key, tensor in checkpoint.tensors.items():
            group, name = key.split("/", 1)
            groups[group][name] = tensor
        self.network.load_state_dict(groups["network"])
        if self.has_ema:
            # without an EMA in the checkpoint, `average_decay` was 0 until now: the average starts here
            self.policy.load_state_dict(groups["policy"] or groups["network"])
        self.network.normalizer.max_samples = values["normalizer_samples"]
        load_optimizer(self.optimizer, groups["optimizer"])
        self.noise.set_state(groups["rng"]["noise"])
        self.shuffle.set_state(groups["rng"]["shuffle"])
        self.stats.load(groups["stats"])
        # empty: `record_extras` was off until now; episodes are counted per environment of a process
        if self.extras is not None and groups["extras"] and before == processes:
            self.extras.load(groups["extras"])
        self.rate_factor = values.get("rate_factor", 1.0)
        self.went_back = values.get("went_back")
        self.iteration, self.samples = values["iteration"], values["samples"]
        self.evaluation = values["evaluation"]
        self.best = None
        if values["best"]:
            fields = {**values["best"], "score": Score(**values["best"]["score"])}
            self.best = BestPolicy(**fields, weights=groups["best"])
        env.load_curriculum(values["curriculum"])

    def _check(self, values: dict[str, Any], threads: int, where: str) -> None:
        here = describe_model(self.model)
        if not same_model(values["model"], here):
            raise DataError(
                f"{where}: its networks are {values['model']}, the settings say {here}. Set them back, or remove the "
                "checkpoints to train from scratch."
            )
        warn_if_code_changed(values.get("network_code", {}), self.model, where)
        if values["threads"] != threads:
            log.warning(
                "Checkpoint of a run with %d threads, now %d: results will differ in the last bits.",
                values["threads"],
                threads,
            )
