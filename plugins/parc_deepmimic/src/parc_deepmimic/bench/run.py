"""Builds the environment that is measured, once per number of environments."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import attrs
import torch

from parc_core.config import load_settings
from parc_core.interfaces import TrackerEnv
from parc_core.plugins import Registry
from parc_deepmimic.bench.parts import measure
from parc_deepmimic.bench.scene import swinging_clips
from parc_deepmimic.bench.settings import BenchSettings
from parc_deepmimic.evaluate.clips import load_files
from parc_deepmimic.evaluate.evaluation_envs import EvaluationEnvs
from parc_motion.clips import MotionClip
from parc_motion.skeletons import load_skeleton

__all__ = ["Bench"]

_TERRAINS, _SECONDS = 16, 6.0  # of the built-in scene


@attrs.frozen(kw_only=True, eq=False)
class Bench:
    """What is measured."""

    registry: Registry
    settings: BenchSettings
    clips: Sequence[MotionClip]
    device: str
    threads: int
    seed: int
    seen: dict[str, Any] = attrs.field(factory=dict)  # facts about the environment, known once it is built

    @classmethod
    def of(
        cls, overrides: Sequence[str], paths: Sequence[pathlib.Path], *, device: str, threads: int, seed: int
    ) -> Bench:
        """Settings with ``key=value`` overrides applied, and clips from files or folders (none: the built-in ones)."""
        registry = Registry.discover()
        settings, _ = load_settings(
            "character: humanoid\n", "parc eval env", BenchSettings, registry, overrides=overrides
        )
        skeleton = load_skeleton(settings.character)
        clips = [clip for path in paths for clip in load_files(path)]
        clips = clips or swinging_clips(skeleton, _TERRAINS, _SECONDS)
        return cls(
            registry=registry, settings=settings, clips=clips, device=device, threads=threads, seed=seed
        )

    def run(self, num_envs: int, steps: int, warm_up: int) -> dict[str, Any]:
        """Build, measure, close; JSON values."""
        before = self._gpu_used()
        env = self.make_env(num_envs)
        try:
            agent = self.registry.create("agent", self.settings.agent, device=self.device)
            timing = measure(env, agent, steps, warm_up, self.device)
            self.seen.update(num_motions=env.num_motions, obs_size=env.obs_size)
            after = self._gpu_used()
        finally:
            env.close()
        memory = None if before is None or after is None else (after - before) / 2**20
        return {**timing.summary(), "gpu_memory_mb": memory}

    def make_env(self, num_envs: int) -> TrackerEnv:
        """A new environment over the clips."""
        envs = EvaluationEnvs(
            registry=self.registry,
            setup=self.settings,
            device=self.device,
            threads=self.threads,
            seed=self.seed,
        )
        return envs.make_env(self.clips, num_envs)

    def description(self) -> dict[str, Any]:
        """What was measured, JSON values."""
        names = {kind: getattr(self.settings, kind).name for kind in ("env", "simulator", "agent")}
        return {**names, **self.seen}

    def _gpu_used(self) -> int | None:
        if not self.device.startswith("cuda"):
            return None
        free, total = torch.cuda.mem_get_info(self.device)
        return total - free
