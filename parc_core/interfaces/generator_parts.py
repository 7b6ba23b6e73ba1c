"""Kinds `generator_loss` and `generator_network`: what a diffusion generator is made of.

A loss is a function of one `LossInput`, or a class whose instances are. It lives in any package or plain Python file
and is chosen in the iteration file, with its own settings and weight:

.. code-block:: python

    # my_losses.py, beside the iteration file
    def foot_slide(batch, *, margin: float = 0.02):
        '''Distance that feet labeled as standing move between frames, beyond `margin` m.'''
        feet = list(batch.skeleton.key_bodies)
        moved = batch.predicted.body_pos[:, :, feet].diff(dim=1)[..., :2].norm(dim=-1)
        standing = batch.truth.contacts[:, 1:, feet] * batch.truth.contacts[:, :-1, feet]
        return (standing * (moved - margin).clamp(min=0.0)).sum(dim=(1, 2)).mean()

.. code-block:: yaml

    train_gen:
      generator:
        use: mdm
        losses: {terms: {slide: {use: "my_losses.py:foot_slide", weight: 2.0, margin: 0.01}}}

A class is made once per training with ``target(config, skeleton=Skeleton, device=str)``; the settings class is the
annotation of ``config`` and has a field ``weight``. The training adds weight times value to its loss and reports the
value under the term's name; a term of weight 0 is not computed. With several processes a loss gets a part of the batch;
the mean over its samples then counts in proportion to their number. A loss is differentiable in `LossInput.predicted`,
draws no random numbers, and changes no tensor in place.

A network is a `torch.nn.Module` class, see `GeneratorNetwork`, chosen as
``generator: {use: mdm, network: {use: "my_nets.py:Mixer", width: 64}}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import attrs

from parc_motion.skeletons import Skeleton

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Condition", "GeneratorLoss", "GeneratorNetwork", "LossInput", "MotionWindows"]


@attrs.frozen(kw_only=True, eq=False)
class MotionWindows:
    """N windows of S frames, each in the heading frame of its own anchor (z up, x ahead; m, quaternions xyzw)."""

    root_pos: Tensor  # [N, S, 3] m
    root_rot: Tensor  # [N, S, 4]
    joint_rot: Tensor  # [N, S, J, 4]
    contacts: Tensor  # [N, S, B] labels, 0..1 in the truth
    body_pos: Tensor  # [N, S, B, 3] m, by forward kinematics
    body_rot: Tensor  # [N, S, B, 4]


@attrs.frozen(kw_only=True, eq=False)
class LossInput:
    """A batch of predicted windows beside the true ones."""

    predicted: MotionWindows  # gradients flow through it
    truth: MotionWindows
    height_patch: Tensor  # [N, 31, 31] m, ground around each anchor relative to the reference root
    target: Tensor  # [N, 2] unit vector towards where the motion goes, or zero
    fps: float  # frames per second
    skeleton: Skeleton


class GeneratorLoss(Protocol):
    """One further loss of a generator's training."""

    def __call__(self, batch: LossInput, /) -> Tensor:
        """The loss, averaged over the batch: a scalar, 0 at best."""


@attrs.frozen(kw_only=True, eq=False)
class Condition:
    """What a prediction depends on besides the noised sample, for N windows. Flags say what the network may see."""

    height_tokens: Tensor  # [N, ...], from `GeneratorNetwork.encode_heights`
    target: Tensor  # [N, 2] unit vector in the anchor's frame, or zero
    history: Tensor  # [N, 2, D] standardized features of the first frames
    history_clean: Tensor  # [N] bool: the noised first frames are replaced by the history
    see_history: Tensor  # [N] bool
    see_target: Tensor  # [N] bool
    see_heights: Tensor  # [N] bool
    context: Tensor | None = None  # [N, ...], kept by `GeneratorNetwork.prepare` for all steps of a window

    def without_history(self) -> Condition:
        """The same, with nothing known of the first frames."""
        import torch

        hidden = torch.zeros_like(self.history_clean)
        return attrs.evolve(self, history_clean=hidden, see_history=hidden, context=None)

    @staticmethod
    def cat(parts: Sequence[Condition]) -> Condition:
        """The conditions of all parts, one after the other."""
        import torch

        names = [field.name for field in attrs.fields(Condition) if field.name != "context"]
        return Condition(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


class GeneratorNetwork(Protocol):
    """A `torch.nn.Module` that predicts the clean window from a noised one.

    Made with ``target(config, num_features=int, num_frames=int, num_timesteps=int)`` on the CPU and moved to its
    device afterwards. Samples of a batch do not influence each other; dropout is for training mode only. What it has
    learned is in its `state_dict`; its settings are saved with the weights and come back with them.

    A working network:

    >>> @attrs.frozen(kw_only=True)
    ... class MixerConfig:
    ...     width: int = setting(64, ge=1, help="Width of the hidden layer.")
    >>> class Mixer(nn.Module):
    ...     def __init__(self, config: MixerConfig, *, num_features, num_frames, num_timesteps):
    ...         super().__init__()
    ...         self.num_frames, self.num_timesteps = num_frames, num_timesteps
    ...         size = num_frames * num_features
    ...         num_inputs = size + 2 * num_features + 31 * 31 + 3
    ...         self.net = nn.Sequential(
    ...             nn.Linear(num_inputs, config.width), nn.SiLU(), nn.Linear(config.width, size)
    ...         )
    ...     def encode_heights(self, patch):
    ...         return patch.flatten(1).clamp(-3.0, 3.0)
    ...     def prepare(self, cond):
    ...         return cond
    ...     def forward(self, xt, t, cond):
    ...         history = (cond.history * cond.see_history[:, None, None]).flatten(1)
    ...         heights, target = cond.height_tokens * cond.see_heights[:, None], cond.target * cond.see_target[:, None]
    ...         step = (t / self.num_timesteps)[:, None]
    ...         x = torch.cat([xt.flatten(1), history, heights, target, step], dim=1)
    ...         return self.net(x).view_as(xt)
    """

    num_frames: int  # S, frames of a window

    def encode_heights(self, patch: Tensor) -> Tensor:
        """Whatever the network sees of height patches ``[N, 31, 31]`` m over the reference root: ``[N, ...]``.

        It depends on nothing else, so it is computed once per window and not in every diffusion step.
        """
        raise NotImplementedError

    def prepare(self, cond: Condition) -> Condition:
        """The condition with everything in `Condition.context` that is the same in all diffusion steps of a window."""
        raise NotImplementedError

    def __call__(self, xt: Tensor, t: Tensor, cond: Condition) -> Tensor:
        """Predicted clean windows ``[N, S, D]``, standardized, for noised ones at steps t ``[N]`` int64."""
        raise NotImplementedError
