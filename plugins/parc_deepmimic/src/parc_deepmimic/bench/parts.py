"""Where the time of a control step goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import torch

from parc_core.interfaces import Agent, Done, TrackerEnv

__all__ = ["PartClock", "Timing", "measure"]

#: parts of any simulator, by method
_OF_SIMULATORS = {"set_targets": "physics", "step": "physics", "read": "physics", "reset": "reset"}


@attrs.frozen(kw_only=True)
class Timing:
    """Control steps of a batch of environments, measured."""

    num_envs: int
    steps: int  # control steps of the whole batch
    seconds: float  # in `TrackerEnv.step`
    cpu_seconds: float  # of this process, all threads
    parts: dict[str, float]  # s by part; they sum to `seconds`
    episodes: int  # that ended; their environments restarted

    @property
    def steps_per_s(self) -> float:
        """Control steps of single environments per second."""
        return self.num_envs * self.steps / self.seconds

    def summary(self) -> dict[str, Any]:
        """JSON values: totals; per part ms per batch step, share, and the steps/s that the part alone would allow."""
        samples = self.num_envs * self.steps
        return {
            "num_envs": self.num_envs,
            "steps": self.steps,
            "steps_per_s": self.steps_per_s,
            "ms_per_step": 1e3 * self.seconds / self.steps,
            "cpu_ms_per_step": 1e3 * self.cpu_seconds / self.steps,
            "episodes_per_step": self.episodes / self.steps,
            "parts": {
                name: {
                    "ms_per_step": 1e3 * seconds / self.steps,
                    "share": seconds / self.seconds,
                    "steps_per_s": samples / seconds if seconds > 0 else None,
                }
                for name, seconds in sorted(self.parts.items(), key=lambda item: -item[1])
            },
        }


class PartClock:
    """Adds up the time inside chosen methods of objects; time in a method inside another counts for the inner one."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self._wait = wait
        self._open: list[float] = []  # s spent in inner methods, for each method that runs now
        self.seconds: dict[str, float] = {}

    def watch(self, owner: object, methods: Mapping[str, str]) -> None:
        """Time methods ``{method: part}`` of an object from now on."""
        for method, part in methods.items():
            setattr(owner, method, self._timed(getattr(owner, method), part))

    def _timed(self, call: Callable[..., Any], part: str) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._wait()
            start = time.perf_counter()
            self._open.append(0.0)
            try:
                return call(*args, **kwargs)
            finally:
                self._wait()
                spent = time.perf_counter() - start
                inner = self._open.pop()
                self.seconds[part] = self.seconds.get(part, 0.0) + spent - inner
                if self._open:
                    self._open[-1] += spent

        return timed


def measure(env: TrackerEnv, agent: Agent, steps: int, warm_up: int, device: str) -> Timing:
    """Run training episodes with an agent; `warm_up` steps before the measured ones fill caches."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    obs = env.reset()
    agent.start(env)
    for _ in range(warm_up):
        obs = env.step(agent.act(env, obs, deterministic=False)).obs
    clock = PartClock(wait)
    clock.watch(env, env.timed_parts)
    clock.watch(env.simulator, _OF_SIMULATORS)
    clock.watch(env, {"step": "other"})
    episodes = torch.zeros((), device=obs.device)
    cpu = 0.0
    for _ in range(steps):
        action = agent.act(env, obs, deterministic=False)
        wait()
        before = time.process_time()
        step = env.step(action)
        wait()
        cpu += time.process_time() - before
        obs = step.obs
        episodes += (step.done != Done.NULL).sum()
    return Timing(
        num_envs=env.num_envs,
        steps=steps,
        seconds=sum(clock.seconds.values()),
        cpu_seconds=cpu,
        parts=clock.seconds,
        episodes=int(episodes),
    )
