"""The model that generation uses: denoiser, schedule, statistics and the character, on one device."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_mdm.config import MdmConfig
from parc_mdm.diffusion import Schedule, cosine_schedule
from parc_mdm.features import FPS, FeatureLayout, project
from parc_mdm.transformer import Denoiser
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import Skeleton

__all__ = ["MotionModel", "num_window_frames"]


def num_window_frames(config: MdmConfig) -> int:
    """Frames of a window."""
    return round(config.sequence_duration * FPS)


def _network(config: MdmConfig, num_features: int, num_frames: int) -> Denoiser:
    if config.network is None:
        return Denoiser(config, num_features, num_frames)
    steps = config.diffusion_timesteps
    return config.network.create(num_features=num_features, num_frames=num_frames, num_timesteps=steps)


@attrs.frozen(kw_only=True, eq=False)
class MotionModel:
    """A denoiser with everything that turns its numbers into motion."""

    config: MdmConfig
    kin: Kinematics
    layout: FeatureLayout
    schedule: Schedule
    denoiser: Denoiser  # or another `GeneratorNetwork` with the same methods
    mean: Tensor  # [S, D] of the features per place in a window
    std: Tensor  # [S, D]
    start_height: Tensor  # [2] m, usual range of the root over its ground

    @staticmethod
    def of(config: MdmConfig, skeleton: Skeleton, device: str) -> MotionModel:
        """A fresh model with zero mean and unit deviation."""
        layout = FeatureLayout.of(
            skeleton, config.rotation, velocities=config.velocities, from_floor=config.height_from == "floor"
        )
        frames = num_window_frames(config)
        return MotionModel(
            config=config,
            kin=Kinematics(skeleton, device),
            layout=layout,
            schedule=cosine_schedule(config.diffusion_timesteps, device),
            denoiser=_network(config, layout.width, frames).to(device),
            mean=torch.zeros(frames, layout.width, device=device),
            std=torch.ones(frames, layout.width, device=device),
            start_height=torch.tensor([0.7, 0.9], device=device),
        )

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return self.mean.device

    def standardize(self, features: Tensor) -> Tensor:
        """Features ``[N, F, D]`` of the first F frames of windows, by the statistics of their place."""
        count = features.shape[1]
        return (features - self.mean[:count]) / self.std[:count]

    def restore_units(self, standardized: Tensor) -> Tensor:
        """What `standardize` was given."""
        count = standardized.shape[1]
        return standardized * self.std[:count] + self.mean[:count]

    def project(self, standardized: Tensor) -> Tensor:
        """The nearest standardized window whose body positions follow from its rotations, contacts in 0..1."""
        return self.standardize(project(self.kin, self.layout, self.restore_units(standardized)))
