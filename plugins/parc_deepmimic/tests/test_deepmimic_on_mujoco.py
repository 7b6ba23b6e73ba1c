"""The environment on real physics; skipped where parc-mujoco is not installed."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
import torch

from parc_core.config import Use
from parc_core.interfaces import Done, SeedStreams
from parc_core.plugins import Registry
from parc_deepmimic.config import DeepMimicConfig, ObservationConfig, StartConfig
from parc_deepmimic.env import DeepMimicEnv
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip
from parc_testing.contracts.tracker_env import TrackerEnvContract

pytest.importorskip("parc_mujoco", reason="parc-mujoco is not installed")
SMALL = ObservationConfig(**DeepMimicConfig.PRESETS["cpu"]["observation"])
REAL = (
    pathlib.Path(__file__).parents[3].parent / "shared" / "data" / "parc" / "dec2024_teaser_717_1_opt_dm.pkl"
)


def make_env(num_envs=8, seed=0, clips=None, start=None):
    clips = clips or [make_clip(40, name="stand"), make_clip(50, name="lean")]
    registry = Registry.discover()
    return DeepMimicEnv(
        DeepMimicConfig(observation=SMALL, start=start or StartConfig()),
        clips=clips,
        weights=np.ones(len(clips)),
        simulator=registry.create("simulator", Use("mujoco"), device="cpu", threads=1),
        num_envs=num_envs,
        skeleton=load_skeleton("humanoid"),
        rng=torch.Generator().manual_seed(seed),
    )


class TestDeepMimicOnMujoco(TrackerEnvContract):
    @pytest.fixture
    def make(self):
        return make_env


def test_standing_without_any_correction_is_followed_for_a_while():
    env = make_env()
    env.playback(torch.tensor([0, 1]), torch.zeros(2))
    for _ in range(20):
        step = env.step(torch.zeros(8, 28))
        assert (step.done == Done.NULL).all()
    assert (step.errors["body_pos"][:2] < 0.1).all()


def test_the_real_run_is_followed_for_half_a_second_without_any_correction():
    if not REAL.is_file():
        pytest.skip(f"{REAL.name} is not here")
    registry = Registry.discover()
    source = registry.create(
        "motion_source",
        Use("parc_ms", registry.load_config_class("motion_source", "parc_ms")(path=str(REAL))),
        skeleton=load_skeleton("humanoid"),
        seeds=SeedStreams(0),
    )
    env = make_env(num_envs=1, clips=list(source.clips()))
    env.playback(torch.tensor([0]), torch.zeros(1))
    # measured: 0.97 s with targets 0.03 s ahead of the reference's next pose
    for _ in range(15):
        step = env.step(torch.zeros(1, 28))
        assert int(step.done[0]) == Done.NULL
