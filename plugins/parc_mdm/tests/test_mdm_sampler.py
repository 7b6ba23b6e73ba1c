"""Sampling with denoisers whose predictions are known."""

import attrs
import pytest
import torch

from parc_mdm.config import MdmConfig
from parc_mdm.features import NUM_HISTORY, FeatureLayout
from parc_mdm.model import MotionModel
from parc_mdm.sampler import sample_windows
from parc_motion.skeletons import load_skeleton

SKELETON = load_skeleton()
CONTACTS = FeatureLayout.of(SKELETON).contacts


class Says(torch.nn.Module):
    """0.2 where it may see the history, 0.6 where not; keeps what it was given."""

    num_frames = 15

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[tuple[torch.Tensor, int]] = []

    def encode_heights(self, patch):
        return torch.zeros(len(patch), 1, 1)

    def prepare(self, cond):
        return cond

    def forward(self, xt, t, cond):
        self.inputs.append((xt.clone(), int(t[0])))
        level = torch.where(cond.see_history & cond.history_clean, 0.2, 0.6)
        return level[:, None, None].expand_as(xt)


def sample(history=None, **override):
    """Windows of two samples, and the denoiser that was asked."""
    made = MotionModel.of(MdmConfig.preset("tiny", **override), SKELETON, "cpu")
    made = attrs.evolve(made, denoiser=Says())
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 15, 91, generator=generator)
    return sample_windows(
        made, noise, torch.zeros(2, 31, 31), torch.zeros(2, 2), history, generator
    ), made.denoiser


def history() -> torch.Tensor:
    return torch.full((2, NUM_HISTORY, 91), 0.5)


@pytest.mark.parametrize("scale", [0.0, 0.65, 1.0])
def test_blend_goes_from_the_prediction_with_history_towards_the_one_without(scale):
    window, _ = sample(history(), use_cfg=True, cfg_scale=scale)
    # 0.2 + s (0.6 - 0.2), in every feature that projection does not touch
    torch.testing.assert_close(window[..., CONTACTS], torch.full((2, 15, 15), 0.2 + 0.4 * scale))
    torch.testing.assert_close(window[..., :6], torch.full((2, 15, 6), 0.2 + 0.4 * scale))


def test_without_history_nothing_is_blended():
    window, denoiser = sample(None, use_cfg=True, cfg_scale=0.65)
    torch.testing.assert_close(window[..., :3], torch.full((2, 15, 3), 0.6))
    assert all(len(xt) == 2 for xt, _ in denoiser.inputs)


def test_blend_takes_both_predictions_in_one_batch():
    _, denoiser = sample(history(), use_cfg=True, cfg_scale=0.65)
    assert all(len(xt) == 4 and torch.equal(xt[:2], xt[2:]) for xt, _ in denoiser.inputs)


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"use_ddim": False}, [4, 3, 2, 1, 0]),
        ({"use_ddim": True, "ddim_stride": 2}, [4, 2, 0]),
        ({"use_ddim": True, "ddim_stride": 100}, [4, 0]),  # the fewest
    ],
    ids=["ddpm", "ddim", "few steps"],
)
def test_every_sampler_asks_at_its_steps_and_ends_with_the_prediction(options, steps):
    window, denoiser = sample(None, **options)
    assert [t for _, t in denoiser.inputs] == steps
    torch.testing.assert_close(window[..., CONTACTS], torch.full((2, 15, 15), 0.6))


def test_noise_around_a_known_history_is_that_of_the_history():
    # DDIM: x = sqrt(a') h + sqrt(1 - a') eps, with the eps that made the last x out of h; so (x - sqrt(a) h) keeps its
    # direction from step to step
    _, denoiser = sample(history(), use_cfg=False, ddim_stride=1)
    made = MotionModel.of(MdmConfig.preset("tiny"), SKELETON, "cpu")
    eps = []
    for xt, t in denoiser.inputs:
        share = made.schedule.alpha_bar[t]
        eps.append((xt[:, :NUM_HISTORY] - share.sqrt() * 0.5) / (1.0 - share).sqrt())
    for later in eps[1:]:
        torch.testing.assert_close(later, eps[0], atol=1e-4, rtol=1e-4)


def test_ddim_draws_nothing():
    first, second = (sample(history(), ddim_stride=2)[0] for _ in range(2))
    assert first.equal(second)
