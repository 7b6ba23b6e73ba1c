"""Changes to the ground that a window does not touch, so that the network learns which ground matters.

Source: `parc_motion.published` (one plane, three max pools in random order, boxes; cut to the allowed heights).
All samples of a batch are changed at once.
"""

from __future__ import annotations

import math

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from parc_mdm.config import PATCH_SIDE, MdmConfig
from parc_mdm.draws import Source, rand, randint

__all__ = ["Changes", "augment_patch", "draw_boxes", "max_pool"]

_MAX_RADIUS = 10  # points of the patch
_BOX_SIDES = (2.0, 12.0)  # points of the patch


@attrs.frozen(kw_only=True, eq=False)
class Changes:
    """What `maxpool_and_boxes` does to each patch of a batch."""

    is_flat: Tensor  # [N] bool, the patch becomes one plane first
    level: Tensor  # [N] m, its height
    radius_x: Tensor  # [N, 3] int64, points, of three pools one after the other
    radius_y: Tensor  # [N, 3]
    boxes: Tensor  # [N, most, 6]: center and half sides in points, angle, height
    num_boxes: Tensor  # [N] int64

    @staticmethod
    def draw(count: int, config: MdmConfig, like: Tensor, generator: Source) -> Changes:
        """Changes for `count` patches on the device of `like`."""
        reach = config.augment_height
        is_flat = _uniform((count,), 0.0, 1.0, like, generator) < config.augment_flat_prob
        level = _uniform((count,), -reach, reach, like, generator)
        radius_x, radius_y = _pool_radii(count, config.augment_pool_prob, like, generator)
        boxes, num_boxes = _boxes(count, config.augment_max_boxes, reach, like, generator)
        return Changes(
            is_flat=is_flat,
            level=level,
            radius_x=radius_x,
            radius_y=radius_y,
            boxes=boxes,
            num_boxes=num_boxes,
        )

    def apply(self, patch: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Changed patches ``[N, px, py]`` m; see `augment_patch`."""
        result = torch.where(self.is_flat[:, None, None], self.level[:, None, None], patch)
        result = torch.clamp(result, low, high)
        for k in range(self.radius_x.shape[1]):
            result = torch.clamp(max_pool(result, self.radius_x[:, k], self.radius_y[:, k]), low, high)
        return torch.clamp(draw_boxes(result, self.boxes, self.num_boxes), low, high)


def augment_patch(patch: Tensor, low: Tensor, high: Tensor, config: MdmConfig, generator: Source) -> Tensor:
    """Patches whose heights differ from the given ones only within their bounds.

    Args:
        patch: heights over the reference root, ``[N, px, py]`` m.
        low: lowest allowed height of each point, ``[N, px, py]`` m.
        high: highest, ``[N, px, py]`` m.

    Returns:
        ``[N, px, py]`` m.
    """
    if config.augment == "none":
        return patch
    if config.augment == "noise":
        reach = config.augment_height
        return torch.clamp(_uniform(patch.shape, -reach, reach, patch, generator), low, high)
    return Changes.draw(len(patch), config, patch, generator).apply(patch, low, high)


def max_pool(patch: Tensor, radius_x: Tensor, radius_y: Tensor) -> Tensor:
    """Highest point within each sample's own radii: ``[N, px, py]`` m for radii ``[N]`` in points."""
    result = patch[:, None]
    for radius, kernel, padding in ((radius_x, (3, 1), (1, 0)), (radius_y, (1, 3), (0, 1))):
        result = result.clone()
        for step in range(int(radius.max())):  # radius r is r times radius 1
            rows = (radius > step).nonzero().squeeze(-1)
            result[rows] = functional.max_pool2d(result[rows], kernel, stride=1, padding=padding)
    return result[:, 0]


def draw_boxes(patch: Tensor, boxes: Tensor, number: Tensor) -> Tensor:
    """The patches with the first `number` ``[N]`` of the boxes ``[N, most, 6]`` on each; later ones overwrite."""
    nx, ny = patch.shape[1:]
    place = torch.arange(nx * ny, device=patch.device)
    center_x, center_y, half_x, half_y, angle, height = boxes[..., None].unbind(dim=2)
    dx, dy = (place // ny)[None, None] - center_x, (place % ny)[None, None] - center_y
    cos, sin = torch.cos(angle), torch.sin(angle)
    inside = ((cos * dx + sin * dy).abs() < half_x) & ((cos * dy - sin * dx).abs() < half_y)
    inside &= (torch.arange(boxes.shape[1], device=patch.device) < number[:, None])[..., None]
    result = patch.flatten(1)
    for box in range(boxes.shape[1]):
        result = torch.where(inside[:, box], height[:, box], result)
    return result.reshape(patch.shape)


def _boxes(count: int, most: int, reach: float, like: Tensor, generator: Source) -> tuple[Tensor, Tensor]:
    """Boxes of any place, angle and height ``[N, most, 6]``, and how many of them each patch gets ``[N]``."""
    ranges = [(0.0, PATCH_SIDE)] * 2 + [(0.5 * side, 0.5 * _BOX_SIDES[1]) for side in _BOX_SIDES[:1] * 2]
    low, high = torch.tensor([*ranges, (0.0, 2.0 * math.pi), (-reach, reach)], device=like.device).T
    share = _uniform((count, most, 6), 0.0, 1.0, like, generator)
    number = randint(0, most + 1, count, source=generator, device=like.device)
    return low + (high - low) * share, number


def _pool_radii(count: int, chance: float, like: Tensor, generator: Source) -> tuple[Tensor, Tensor]:
    """Radii of three pools per sample (square, along x, along y; each maybe none) in an order drawn per sample.

    Returns:
        Along x and along y, ``[N, 3]`` points each.
    """
    device = like.device
    order = rand(count, 3, source=generator, device=device).argsort(dim=1)
    radius = randint(0, _MAX_RADIUS + 1, count, 3, source=generator, device=device)
    radius = radius * (rand(count, 3, source=generator, device=device) < chance)
    return radius * (order != 2), radius * (order != 1)


def _uniform(shape: tuple[int, ...], low: float, high: float, like: Tensor, generator: Source) -> Tensor:
    return low + (high - low) * rand(*shape, source=generator, device=like.device, dtype=like.dtype)
