"""Changes to the ground that a window does not touch, so that the network learns which ground matters.

Source: published PARC implementation (one plane, three max pools in random order, boxes; cut to the allowed heights).
All samples of a batch are changed at once.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from parc_mdm.config import MdmConfig

__all__ = ["augment_patch", "draw_boxes", "max_pool"]

_MAX_RADIUS = 10  # points of the patch
_BOX_SIDES = (2.0, 12.0)  # points of the patch


def augment_patch(
    patch: Tensor, low: Tensor, high: Tensor, config: MdmConfig, generator: Generator
) -> Tensor:
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
    count, reach = len(patch), config.augment_height
    if config.augment == "noise":
        return torch.clamp(_uniform(patch.shape, -reach, reach, patch, generator), low, high)
    flat = _uniform((count, 1, 1), 0.0, 1.0, patch, generator) < config.augment_flat_prob
    result = torch.where(flat, _uniform((count, 1, 1), -reach, reach, patch, generator), patch)
    result = torch.clamp(result, low, high)
    for radius_x, radius_y in _pool_radii(count, config.augment_pool_prob, patch, generator):
        result = torch.clamp(max_pool(result, radius_x, radius_y), low, high)
    if config.augment_max_boxes:
        result = torch.clamp(draw_boxes(result, config.augment_max_boxes, reach, generator), low, high)
    return result


def max_pool(patch: Tensor, radius_x: Tensor, radius_y: Tensor) -> Tensor:
    """Highest point within each sample's own radii: ``[N, px, py]`` m for radii ``[N]`` in points."""
    result = patch[:, None]
    for radius, kernel, padding in ((radius_x, (3, 1), (1, 0)), (radius_y, (1, 3), (0, 1))):
        result = result.clone()
        for step in range(int(radius.max())):  # radius r is r times radius 1
            rows = (radius > step).nonzero().squeeze(-1)
            result[rows] = functional.max_pool2d(result[rows], kernel, stride=1, padding=padding)
    return result[:, 0]


def draw_boxes(patch: Tensor, max_boxes: int, reach: float, generator: Generator) -> Tensor:
    """The patches with 0..`max_boxes` rectangles of any place, angle and height on each; later ones overwrite."""
    count, (nx, ny) = len(patch), patch.shape[1:]
    shape = (count, max_boxes)
    centre_x = _uniform(shape, 0.0, nx, patch, generator)
    centre_y = _uniform(shape, 0.0, ny, patch, generator)
    half_x = 0.5 * _uniform(shape, *_BOX_SIDES, patch, generator)
    half_y = 0.5 * _uniform(shape, *_BOX_SIDES, patch, generator)
    angle = _uniform(shape, 0.0, 2.0 * math.pi, patch, generator)
    height = _uniform(shape, -reach, reach, patch, generator)
    number = torch.randint(0, max_boxes + 1, (count, 1), generator=generator, device=patch.device)
    place = torch.arange(nx * ny, device=patch.device)
    dx = (place // ny)[None, None] - centre_x[..., None]
    dy = (place % ny)[None, None] - centre_y[..., None]
    cos, sin = torch.cos(angle)[..., None], torch.sin(angle)[..., None]
    inside = ((cos * dx + sin * dy).abs() < half_x[..., None]) & (
        (cos * dy - sin * dx).abs() < half_y[..., None]
    )
    inside &= (torch.arange(max_boxes, device=patch.device) < number)[..., None]
    result = patch.flatten(1)
    for box in range(max_boxes):
        result = torch.where(inside[:, box], height[:, box, None], result)
    return result.reshape(patch.shape)


def _pool_radii(count: int, chance: float, like: Tensor, generator: Generator) -> list[tuple[Tensor, Tensor]]:
    """Radii of three pools per sample (square, along x, along y; each maybe none) in an order drawn per sample."""
    device = like.device
    order = torch.rand(count, 3, generator=generator, device=device).argsort(dim=1)
    radius = torch.randint(0, _MAX_RADIUS + 1, (count, 3), generator=generator, device=device)
    radius = radius * (torch.rand(count, 3, generator=generator, device=device) < chance)
    return [(radius[:, k] * (order[:, k] != 2), radius[:, k] * (order[:, k] != 1)) for k in range(3)]


def _uniform(shape: tuple[int, ...], low: float, high: float, like: Tensor, generator: Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, device=like.device, dtype=like.dtype)
