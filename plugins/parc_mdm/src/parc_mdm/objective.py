"""What a training step computes: how well the network restores windows that were noised and partly hidden.

Source: `parc_motion.published` for the conditions' drop rates. The noise on the history and its drift are ours.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_core.interfaces import Condition
from parc_mdm.config import MdmConfig
from parc_mdm.diffusion import add_noise
from parc_mdm.draws import Source, dropout_from, rand, randint, randn
from parc_mdm.features import NUM_HISTORY, REFERENCE, FeatureLayout
from parc_mdm.losses import CollisionPoints, further_losses, loss_terms
from parc_mdm.model import MotionModel
from parc_mdm.windows import Windows

__all__ = ["Objective", "drift_history"]

_DRIFT_FRAMES = 7  # frames in which a window undoes the drift of its history
_FAR_SHARE, _FAR_FACTOR = 0.15, 4.0  # some histories are lifted further, as after a missed step


class Objective:
    """The losses of a model's predictions, with the settings given here instead of the model's own."""

    def __init__(self, model: MotionModel, config: MdmConfig) -> None:
        self.model, self.config = model, config
        wanted = config.losses.collision > 0.0
        self.collision = CollisionPoints.of(model.kin.skeleton, model.device) if wanted else None
        self.further = further_losses(config.losses, model.kin.skeleton, str(model.device))

    def losses(self, windows: Windows, noise: Source, dropout: Source) -> dict[str, Tensor]:
        """Unweighted loss of each term whose weight is not 0.

        Args:
            noise: draws diffusion steps, noise, and what is hidden.
            dropout: draws dropout, where the denoiser is in training mode.
        """
        config, model = self.config, self.model
        count, device = len(windows.features), model.device
        windows = drift_history(windows, model.layout, config.history_drift, noise)
        x0 = model.standardize(windows.features)
        t = randint(0, model.schedule.num_steps, count, source=noise, device=device)
        xt = add_noise(model.schedule, x0, t, randn(*x0.shape, source=noise, device=device))
        rolls = rand(4, count, source=noise, device=device, axis=1)
        history = x0[:, :NUM_HISTORY]
        if config.history_noise:
            history = history + config.history_noise * randn(*history.shape, source=noise, device=device)
        with dropout_from(dropout, device):
            cond = Condition(
                height_tokens=model.denoiser.encode_heights(windows.patch),
                target=windows.target,
                history=history,
                history_clean=rolls[0] < config.noise_indicator_prob,
                see_history=rolls[1] >= config.drop_history_prob,
                see_target=rolls[2] >= config.drop_target_prob,
                see_heights=rolls[3] >= config.drop_heights_prob,
            )
            predicted = model.restore_units(model.denoiser(xt, t, cond))
        return loss_terms(
            predicted,
            windows,
            model.kin,
            model.layout,
            config.losses,
            pseudo_huber=config.loss_function == "pseudo_huber",
            collision=self.collision,
            further=self.further,
        )


def drift_history(windows: Windows, layout: FeatureLayout, size: float, generator: Source) -> Windows:
    """Windows whose history floats above or sinks into the ground, and whose later frames come back to it.

    Generated histories are never exactly at their height; without such windows the network has never seen one and
    keeps or grows the error.

    Args:
        size: standard deviation of the lift, m; 0 changes nothing. Of some windows it is four times as much.
    """
    if size == 0.0:
        return windows
    count, frames = windows.features.shape[:2]
    device = windows.features.device
    far = rand(count, 1, source=generator, device=device) < _FAR_SHARE
    lift = size * randn(count, 1, source=generator, device=device) * torch.where(far, _FAR_FACTOR, 1.0)
    place = torch.arange(frames, device=lift.device)
    back = -lift * ((place - REFERENCE) / _DRIFT_FRAMES).clamp(0.0, 1.0)  # [N, S] m
    if layout.from_floor:  # then the ground stays, and the motion is higher
        back, lift = back + lift, torch.zeros_like(lift)
    pos, root, _bodies, joints, contacts = layout.split(windows.features)
    raise_pos = torch.stack([torch.zeros_like(back), torch.zeros_like(back), back], dim=-1)
    body_pos = windows.body_pos + raise_pos[:, :, None]
    return attrs.evolve(
        windows,
        features=layout.pack(pos + raise_pos, root, body_pos, joints, contacts),
        body_pos=body_pos,
        patch=windows.patch - lift[..., None],
    )
