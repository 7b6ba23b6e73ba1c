"""Collecting the next rollout while the networks learn from the last one."""

from __future__ import annotations

import copy
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from parc_core.interfaces import TrackerEnv
from parc_ppo.actor_critic import ActorCritic
from parc_ppo.buffer import RolloutBuffer
from parc_ppo.rollout import collect
from parc_rl.stats import EpisodeStats

__all__ = ["AheadCollector"]


class AheadCollector:
    """Collects in its own thread, with a copy of the policy from the start of the rollout.

    Simulators and matrix products release Python's GIL, so both run at once. Results do not depend on timing:
    between `start` and `finish` the environment, the noise and the statistics belong to the collecting thread alone.
    """

    def __init__(
        self, env: TrackerEnv, network: ActorCritic, rng: torch.Generator, stats: EpisodeStats
    ) -> None:
        self._env, self._rng, self._stats = env, rng, stats
        self._behavior = copy.deepcopy(network).requires_grad_(False)
        self._pool = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="collect", initializer=torch.set_num_threads, initargs=(1,)
        )
        self._running: Future[Tensor] | None = None

    @torch.no_grad()
    def start(self, network: ActorCritic, buffer: RolloutBuffer, obs: Tensor, sample_prob: float) -> None:
        """Start a rollout into `buffer` from `obs` with a copy of the network, which may be updated meanwhile."""
        for kept, value in zip(self._behavior.state_dict().values(), network.state_dict().values()):
            kept.copy_(value)
        self._running = self._pool.submit(
            collect, self._env, self._behavior, buffer, obs, self._rng, sample_prob, self._stats
        )

    def finish(self) -> Tensor | None:
        """Wait for the rollout and return the observation after it, ``[N, O]``; None if none was started.

        Raises:
            Exception: any that the collecting thread raised.
        """
        running, self._running = self._running, None
        return None if running is None else running.result()

    def close(self) -> None:
        """Wait for a running rollout and end the thread."""
        self._pool.shutdown(wait=True)
