"""For agents that are used from a script, without the runner: a context to train in, and single steps."""

from __future__ import annotations

import contextlib
import pathlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from parc_core.config import Use
from parc_core.interfaces import MetricRecord, MetricSink, SeedStreams, StageContext, Step, TrackerEnv
from parc_core.plugins import Registry
from parc_motion.storage import CheckpointStore, append_line, make_folder
from parc_ppo.actor_critic import ActorCritic
from parc_ppo.rollout import decide

__all__ = ["Stepper", "documented_names", "script_context"]


@contextlib.contextmanager
def script_context(
    folder: pathlib.Path, log_file: pathlib.Path | None, logger_type: str | None, seed: int, threads: int
) -> Iterator[StageContext]:
    """A context that keeps checkpoints and metrics in a folder, and writes a line per report to `log_file`.

    Args:
        logger_type: name of an installed `metric_sink`; None: no metrics are stored.

    Raises:
        UnknownProvider: no such sink is installed; the message lists those that are.
    """
    make_folder(folder)
    sink = Registry.discover().create("metric_sink", Use(logger_type), folder=folder) if logger_type else None
    try:
        yield StageContext(
            folder=folder,
            checkpoints=CheckpointStore(folder=folder),
            cache=folder / "cache",
            seeds=SeedStreams(seed),
            metrics=_Metrics(sink),
            progress=_TextLog(log_file),
            threads=threads,
        )
    finally:
        if sink is not None:
            sink.close()


@attrs.frozen
class _Metrics:
    sink: MetricSink | None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        if self.sink is not None:
            self.sink.write([MetricRecord(step, name, float(value)) for name, value in values.items()])


@attrs.frozen
class _TextLog:
    path: pathlib.Path | None

    def update(self, done: float, total: float, note: str = "") -> None:
        if self.path is not None:
            append_line(
                self.path, f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {done:.0f} of {total:.0f} samples  {note}"
            )


class Stepper:
    """Drives an environment in training mode one control step at a time."""

    def __init__(self, env: TrackerEnv, rng: torch.Generator) -> None:
        self.env, self._rng = env, rng
        self.obs = env.reset()

    @torch.no_grad()
    def step(self, network: ActorCritic, sample_prob: float) -> tuple[Step, Tensor, dict[str, Tensor]]:
        """The result of one step, its action ``[N, A]``, and the action's ``a_logp`` and ``rand_action_mask``, ``[N]``.

        Args:
            sample_prob: probability that an action is sampled; the others are mean actions.
        """
        norm_obs = network.normalizer(self.obs)
        normalized, log_prob, sampled = decide(network, norm_obs, self._rng, sample_prob)
        if sampled is None:
            sampled = torch.ones(len(self.obs), dtype=torch.bool, device=self.obs.device)
        action = network.to_env(normalized)
        step = self.env.step(action)
        self.obs = step.obs
        return step, action, {"a_logp": log_prob, "rand_action_mask": sampled}


def documented_names(found: Mapping[str, Any]) -> dict[str, Any]:
    """Results of `run_episodes`, errors under their documented names: ``test_mean_root_pos_tracking_err``, ...

    Source: PARC's documents; of the error of the root's angular velocity they leave "tracking" out.
    """
    names = {name: f"test_{name}" if name.endswith("_tracking_err") else name for name in found}
    names["mean_root_ang_vel_tracking_err"] = "test_mean_root_ang_vel_err"
    return {names[name]: value for name, value in found.items()}
