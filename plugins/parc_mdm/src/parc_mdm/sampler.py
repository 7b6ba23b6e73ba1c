"""Windows from noise: DDIM or DDPM over the denoiser's predictions, guided by the history."""

from __future__ import annotations

import functools

import torch
from torch import Generator, Tensor

from parc_core.interfaces import Condition, stop_point
from parc_mdm.diffusion import ddim_step, ddim_timesteps, ddpm_step
from parc_mdm.features import NUM_HISTORY, FeatureLayout
from parc_mdm.guidance import Guidance
from parc_mdm.model import MotionModel

__all__ = ["join", "sample_windows"]


@torch.no_grad()
def sample_windows(
    model: MotionModel,
    noise: Tensor,
    patch: Tensor,
    target: Tensor,
    history: Tensor | None,
    generator: Generator,
    aim: Tensor | None = None,
) -> Tensor:
    """Feature vectors of new windows, not standardized: ``[N, S, D]``; see `join` for their first two frames.

    The ground is encoded once. With guidance both predictions of a step are one batch.

    Args:
        noise: where the process starts, standard normal, ``[N, S, D]``.
        patch: ground over the reference root, ``[N, 31, 31]`` m.
        target: direction to go, ``[N, 2]``.
        history: features of the first two frames, not standardized, ``[N, 2, D]``; None for a first window.
        generator: for the noise of DDPM steps; DDIM draws nothing.
        aim: the point to go to, for guidance towards it, in the anchor's frame, ``[N, 2]`` m.
    """
    config, schedule = model.config, model.schedule
    model.denoiser.eval()
    cond = _condition(model, patch, target, history)
    guided = history is not None and config.use_cfg and config.cfg_scale > 0.0
    guidance = Guidance.of(model, patch, aim)
    both = Condition.cat([cond, cond.without_history()]) if guided else cond
    both = model.denoiser.prepare(both)
    stride = config.ddim_stride if config.use_ddim else 1
    steps = ddim_timesteps(schedule.num_steps, stride)
    xt = noise
    for t, t_next in zip(steps, [*steps[1:], -1]):
        stop_point()
        predict = functools.partial(_predict, model, t=t, cond=both, guided=guided)
        x0 = model.project(predict(xt) if guidance is None else guidance.steer(xt, predict))
        if t_next < 0:
            return model.restore_units(x0)
        if history is not None:
            x0 = torch.cat([cond.history, x0[:, NUM_HISTORY:]], dim=1)
        if config.use_ddim:
            xt = ddim_step(schedule, xt, x0, t, t_next)
        else:
            fresh = torch.randn(xt.shape, generator=generator, device=xt.device)
            xt = ddpm_step(schedule, xt, x0, t, fresh)
    raise AssertionError("the last step is step 0")


def join(layout: FeatureLayout, window: Tensor, history: Tensor, num_frames: int) -> Tensor:
    """The window with its first two frames replaced by the history ``[N, 2, D]``, and the step between them evened out.

    The network's own idea of the last history frame differs a little from the frame itself. That difference is added to
    the frames after it too, fading out over `num_frames`; without it, every seam would be a jerk. Contacts stay.
    """
    place = torch.arange(window.shape[1] - NUM_HISTORY, device=window.device) + 1.0
    rest = (1.0 - place / (num_frames + 1.0)).clamp_min(0.0)
    fade = rest.square() * (3.0 - 2.0 * rest)
    step = (history[:, -1:] - window[:, NUM_HISTORY - 1 : NUM_HISTORY]).clone()
    step[..., layout.contacts] = 0.0
    return torch.cat([history, window[:, NUM_HISTORY:] + fade[:, None] * step], dim=1)


def _condition(model: MotionModel, patch: Tensor, target: Tensor, history: Tensor | None) -> Condition:
    count, device = len(patch), patch.device
    yes = torch.ones(count, dtype=torch.bool, device=device)
    if history is None:
        blank = torch.zeros(count, NUM_HISTORY, model.layout.width, device=device)
    else:
        blank = model.standardize(history)
    return Condition(
        height_tokens=model.denoiser.encode_heights(patch),
        target=target,
        history=blank,
        history_clean=yes if history is not None else ~yes,
        see_history=yes,
        see_target=yes,
        see_heights=yes,
    )


def _predict(model: MotionModel, xt: Tensor, t: int, cond: Condition, guided: bool) -> Tensor:
    inputs = torch.cat([xt, xt]) if guided else xt
    steps = torch.full((len(inputs),), t, dtype=torch.long, device=xt.device)
    x0 = model.denoiser(inputs, steps, cond)
    if not guided:
        return x0
    known, unknown = x0.chunk(2)
    return known + model.config.cfg_scale * (unknown - known)
