"""Collecting the next rollout while the networks learn from the last one."""

from __future__ import annotations

import copy
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from parc_core.interfaces import TrackerEnv
from parc_ppo.buffer import RolloutBuffer
from parc_ppo.networks import PolicyNetwork
from parc_ppo.rollout import collect
from parc_ppo.stats import EpisodeStats

__all__ = ["AheadCollector"]


class AheadCollector:
    """Collects in a thread of its own, with the policy as it is when a rollout begins.

    Simulators and matrix products let go of Python's lock, so both run at once. Nothing depends on which is faster:
    between `start` and `finish` the environment, the noise and the statistics belong to the collecting thread alone.
    """

    def __init__(
        self, env: TrackerEnv, network: PolicyNetwork, rng: torch.Generator, stats: EpisodeStats
    ) -> None:
        self._env, self._rng, self._stats = env, rng, stats
        self._behaviour = copy.deepcopy(network).requires_grad_(False)
        self._pool = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="collect", initializer=torch.set_num_threads, initargs=(1,)
        )
        self._running: Future[Tensor] | None = None

    @torch.no_grad()
    def start(self, network: PolicyNetwork, buffer: RolloutBuffer, obs: Tensor, drawn_share: float) -> None:
        """Begin to fill `buffer` from `obs` on with the network as it is now; it may learn at once."""
        for kept, value in zip(self._behaviour.state_dict().values(), network.state_dict().values()):
            kept.copy_(value)
        self._running = self._pool.submit(
            collect, self._env, self._behaviour, buffer, obs, self._rng, drawn_share, self._stats
        )

    def finish(self) -> Tensor | None:
        """Wait for the rollout; the observation that comes next, ``[N, O]``. None: none was begun.

        Raises:
            Whatever the collecting raised.
        """
        running, self._running = self._running, None
        return None if running is None else running.result()

    def close(self) -> None:
        """Wait for what runs, and end the thread."""
        self._pool.shutdown(wait=True)
