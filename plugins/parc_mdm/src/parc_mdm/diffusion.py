"""The diffusion process: schedule of the noise, and one step back by DDPM or DDIM.

Symbols: x0 clean sample, xt noised sample, t step (0 is the least noised), eps noise, alpha_bar share of the clean
sample's variance that is left.

Source: cosine schedule as in `parc_motion.published`, DDPM (Ho et al. 2020), DDIM with eta = 0 (Song et al.
2021).
"""

from __future__ import annotations

import math

import attrs
import torch
from torch import Tensor

__all__ = ["Schedule", "add_noise", "cosine_schedule", "ddim_step", "ddim_timesteps", "ddpm_step"]

_OFFSET = 0.008
_BETA_MIN, _BETA_MAX = 1e-4, 0.9999


@attrs.frozen(kw_only=True, eq=False)
class Schedule:
    """Noise per step, ``[T]`` each."""

    beta: Tensor
    alpha_bar: Tensor

    @property
    def num_steps(self) -> int:
        """T."""
        return len(self.beta)


def cosine_schedule(num_steps: int, device: str | torch.device = "cpu") -> Schedule:
    """beta_t = clip(1 - f(t) / f(t - 1), 1e-4, 0.9999), f(t) = cos^2(((t / T) + 0.008) / 1.008 * pi / 2), t = 1..T."""
    time = torch.arange(num_steps + 1, dtype=torch.float64) / num_steps
    f = torch.cos((time + _OFFSET) / (1.0 + _OFFSET) * math.pi / 2).square()
    beta = (1.0 - f[1:] / f[:-1]).clamp(_BETA_MIN, _BETA_MAX)
    alpha_bar = torch.cumprod(1.0 - beta, dim=0)
    return Schedule(beta=beta.float().to(device), alpha_bar=alpha_bar.float().to(device))


def add_noise(schedule: Schedule, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """xt = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) eps, for x0 ``[N, S, D]`` and t ``[N]``."""
    alpha_bar = schedule.alpha_bar[t][:, None, None]
    return alpha_bar.sqrt() * x0 + (1.0 - alpha_bar).sqrt() * eps


def ddim_timesteps(num_steps: int, stride: int) -> list[int]:
    """Steps that DDIM visits, from the most noised to 0."""
    steps = list(range(num_steps - 1, -1, -stride))
    return steps if steps[-1] == 0 else [*steps, 0]


def ddim_step(schedule: Schedule, xt: Tensor, x0: Tensor, t: int, t_next: int) -> Tensor:
    """The sample at step `t_next`, given the one at `t` and what it predicts to be clean."""
    here, there = schedule.alpha_bar[t], schedule.alpha_bar[t_next]
    eps = (xt - here.sqrt() * x0) / (1.0 - here).sqrt()
    return there.sqrt() * x0 + (1.0 - there).sqrt() * eps


def ddpm_step(schedule: Schedule, xt: Tensor, x0: Tensor, t: int, noise: Tensor) -> Tensor:
    """A draw from q(x_{t-1} | xt, x0); at t = 0 it is x0 itself."""
    if t == 0:
        return x0
    beta, here, before = schedule.beta[t], schedule.alpha_bar[t], schedule.alpha_bar[t - 1]
    mean = before.sqrt() * beta / (1.0 - here) * x0 + (1.0 - beta).sqrt() * (1.0 - before) / (1.0 - here) * xt
    variance = beta * (1.0 - before) / (1.0 - here)
    return mean + variance.sqrt() * noise
