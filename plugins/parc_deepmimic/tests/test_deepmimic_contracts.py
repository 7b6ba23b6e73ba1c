"""The contract suites on this plugin's providers, and on the fake env that other plugins test with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parc_deepmimic.config import DeepMimicConfig
from parc_deepmimic.env import DeepMimicEnv
from parc_deepmimic.recorder import RetryConfig, RetryRecorder
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip
from parc_testing.contracts.recorder import RecorderContract
from parc_testing.contracts.tracker_env import TrackerEnvContract
from parc_testing.fake_env import FakeTrackerEnv
from parc_testing.fake_simulator import FakeSimulator


def make_env(num_envs=8, seed=0, config=None, clips=None, simulator=None):
    clips = clips or [make_clip(40, name="stand"), make_clip(50, name="glide", speed=0.6)]
    return DeepMimicEnv(
        config or DeepMimicConfig(),
        clips=clips,
        weights=np.ones(len(clips)),
        simulator=simulator or FakeSimulator(),
        num_envs=num_envs,
        skeleton=load_skeleton("humanoid"),
        rng=torch.Generator().manual_seed(seed),
        device="cpu",
    )


class TestDeepMimicOnFakeSimulator(TrackerEnvContract):
    @pytest.fixture
    def make(self):
        return make_env


class TestFakeEnv(TrackerEnvContract):
    @pytest.fixture
    def make(self):
        return FakeTrackerEnv


class TestRetry(RecorderContract):
    @pytest.fixture
    def make(self):
        def recorder(skeleton, second_chance=None):
            return RetryRecorder(RetryConfig(), skeleton=skeleton, second_chance=second_chance)

        return recorder
