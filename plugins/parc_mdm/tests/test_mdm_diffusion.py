"""Schedule and steps of the diffusion process, against numbers worked out by hand."""

import math

import pytest
import torch

from parc_mdm.diffusion import Schedule, add_noise, cosine_schedule, ddim_step, ddim_timesteps, ddpm_step


def test_cosine_schedule_has_the_published_ends():
    schedule = cosine_schedule(21)
    assert schedule.beta[0] == pytest.approx(0.00734, abs=5e-6)
    assert schedule.beta[-1] == pytest.approx(0.9999)
    assert schedule.alpha_bar[0].sqrt() == pytest.approx(0.9963, abs=5e-5)
    assert schedule.alpha_bar[-1].sqrt() == pytest.approx(0.00074, abs=5e-6)


def two_steps() -> Schedule:
    # beta = 0.36, 0.75: alpha_bar_0 = 0.64, alpha_bar_1 = 0.64 * 0.25 = 0.16
    return Schedule(beta=torch.tensor([0.36, 0.75]), alpha_bar=torch.tensor([0.64, 0.16]))


def test_noise_keeps_the_variance():
    # t = 0: 0.8 * 2 + 0.6 * 1 = 2.2;  t = 1: 0.4 * 2 + sqrt(0.84) * 1
    xt = add_noise(two_steps(), torch.full((2, 1, 1), 2.0), torch.tensor([0, 1]), torch.ones(2, 1, 1))
    assert xt.flatten().tolist() == pytest.approx([2.2, 0.8 + math.sqrt(0.84)])


def test_ddim_step_by_hand():
    # eps = (3 - 0.4 * 1) / sqrt(0.84);  x = 0.8 * 1 + 0.6 * eps
    x = ddim_step(two_steps(), torch.tensor(3.0), torch.tensor(1.0), 1, 0)
    assert float(x) == pytest.approx(0.8 + 0.6 * 2.6 / math.sqrt(0.84), rel=1e-6)


def test_ddim_step_with_the_true_sample_stays_on_its_path():
    schedule, generator = cosine_schedule(21), torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(1, 3, 2, generator=generator) for _ in range(2))
    xt = add_noise(schedule, x0, torch.tensor([15]), eps)
    expected = add_noise(schedule, x0, torch.tensor([10]), eps)
    # float32: alpha_bar_15 is about 0.17, so nothing is badly conditioned
    torch.testing.assert_close(ddim_step(schedule, xt, x0, 15, 10), expected, atol=1e-5, rtol=1e-5)


def test_ddpm_step_by_hand():
    # mean = (sqrt(0.64) * 0.75 / 0.84) * x0 + (sqrt(0.25) * 0.36 / 0.84) * xt, variance = 0.75 * 0.36 / 0.84
    x = ddpm_step(two_steps(), torch.tensor(3.0), torch.tensor(1.0), 1, torch.tensor(2.0))
    mean = 0.8 * 0.75 / 0.84 + 0.5 * 0.36 / 0.84 * 3.0
    assert float(x) == pytest.approx(mean + 2.0 * math.sqrt(0.75 * 0.36 / 0.84), rel=1e-6)


def test_last_ddpm_step_is_the_prediction():
    x = ddpm_step(two_steps(), torch.tensor(3.0), torch.tensor(1.0), 0, torch.tensor(2.0))
    assert float(x) == 1.0


@pytest.mark.parametrize(
    ("steps", "stride", "expected"),
    [
        (21, 5, [20, 15, 10, 5, 0]),
        (6, 2, [5, 3, 1, 0]),
        (3, 1, [2, 1, 0]),
        (1000, 111, list(range(999, -1, -111))),
    ],
)
def test_ddim_visits_every_stride_and_ends_at_zero(steps, stride, expected):
    assert ddim_timesteps(steps, stride) == expected
