"""Guidance: while a window is made, its prediction is pushed out of the ground and towards where it should go.

Cost of a predicted clean window, in the frame of its anchor, for each sample by itself:

* ground: half the squared depth of the deepest of 42 points in each new frame;
* target: half the squared distance of the root to the aim in each new frame, in proportion to how late the frame is.

After every prediction the window takes a step against the cost's gradient, at the noised sample through the network, or
at the prediction itself. A step is measured in the deviations of the root's place, so that features which hardly vary
in the clips hardly move: with weight 1 and nothing else moving, the root rises by the whole depth.

Source: `parc_motion.published` has settings of these names that do nothing. Steps against the gradient at the
noised sample are those of reconstruction guidance (Rempe et al. 2023, "Trace and Pace").
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from parc_mdm.features import NUM_HISTORY
from parc_mdm.losses import CollisionPoints, ground_depth
from parc_mdm.model import MotionModel

__all__ = ["Guidance"]

_REACH = 1.0  # m, an aim further away pulls no more than one at this distance
_HEIGHT, _PLANE = slice(2, 3), slice(0, 2)  # places of the root's position in a feature vector


@attrs.frozen(kw_only=True, eq=False)
class Guidance:
    """What one batch of windows is pushed by."""

    model: MotionModel
    points: CollisionPoints
    patch: Tensor  # [N, 31, 31] m
    aim: Tensor | None  # [N, 2] m in the anchor's frame

    @staticmethod
    def of(model: MotionModel, patch: Tensor, aim: Tensor | None) -> Guidance | None:
        """The guidance that the settings ask for; None where they ask for none.

        Args:
            patch: ground over the anchor, ``[N, 31, 31]`` m.
            aim: where to go, in the anchor's frame, ``[N, 2]`` m.
        """
        config = model.config
        if not config.penetration_guidance and not (config.target_guidance and aim is not None):
            return None
        points = CollisionPoints.of(model.kin.skeleton, model.device)
        return Guidance(model=model, points=points, patch=patch, aim=aim)

    def steer(self, xt: Tensor, predict: Callable[[Tensor], Tensor]) -> Tensor:
        """The pushed prediction for noised samples ``[N, S, D]``; the history's frames stay as predicted.

        Args:
            predict: predicted clean samples of noised ones, both standardized.
        """
        config = self.model.config
        with torch.enable_grad():
            if config.guidance_gradient == "sample":
                at = xt.detach().requires_grad_()
                x0 = predict(at)
            else:
                at = x0 = predict(xt).detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.cost(x0).sum(), at)
        slope[:, :NUM_HISTORY] = 0.0
        return x0.detach() - slope

    def cost(self, x0: Tensor) -> Tensor:
        """Weighted cost of standardized clean windows, ``[N]``; its gradient is the step."""
        model, config = self.model, self.model.config
        pos, root, _, joints, _ = model.layout.split(model.restore_units(x0))
        new = slice(NUM_HISTORY, None)
        total = x0.new_zeros(len(x0))
        if config.penetration_guidance:
            rotation, joint_rot = model.layout.root_rot(root), model.layout.joint_rot(model.kin, joints)
            body = model.kin.forward(pos[:, new], rotation[:, new], joint_rot[:, new])
            deepest = ground_depth(self.points.posed(*body), self.patch).amax(dim=-1)
            step = config.penetration_guidance / self._deviation(_HEIGHT)
            total = total + step * 0.5 * deepest.square().sum(dim=1)
        if config.target_guidance and self.aim is not None:
            aim = self.aim * (_REACH / self.aim.norm(dim=-1, keepdim=True).clamp_min(_REACH))
            away = (pos[:, new, :2] - aim[:, None]).square().sum(dim=-1)
            late = torch.arange(1, away.shape[1] + 1, device=away.device) / away.shape[1]
            total = total + config.target_guidance / self._deviation(_PLANE) * 0.5 * (late * away).sum(dim=1)
        return total

    def _deviation(self, place: slice) -> Tensor:
        """Mean squared deviation of features in the new frames, m^2."""
        return self.model.std[NUM_HISTORY:, place].square().mean()
