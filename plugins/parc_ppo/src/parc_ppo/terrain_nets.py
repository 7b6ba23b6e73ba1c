"""Networks that see the terrain as a picture: an encoder makes a short code of it, a perceptron goes on from there.

The published implementation names a CNN-MLP and a vision transformer and does not contain them; sizes are ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from parc_core.errors import ConfigError
from parc_core.interfaces import ObservationGroup
from parc_ppo.perceptron import ACTIVATIONS, conv, linear, make_mlp

__all__ = ["CnnEncoder", "TerrainNetwork", "VitEncoder", "terrain_columns"]

_PATCHES = 8  # most patches along either side of the picture
_HEADS = 4
_DEPTH = 2


def terrain_columns(groups: tuple[ObservationGroup, ...], net: str) -> tuple[slice, tuple[int, int]]:
    """Columns of the group that is a picture of the terrain, and its rows and columns.

    Raises:
        ConfigError: there is none, or more than one.
    """
    pictures = [group for group in groups if len(group.shape) == 2]
    if len(pictures) != 1:
        has = ", ".join(f"{group.name} {list(group.shape) or [group.size]}" for group in groups)
        which = "no group" if not pictures else f"{len(pictures)} groups"
        raise ConfigError(
            f"agent.model: network '{net}' looks at the terrain as a picture, and {which} of the environment's "
            f"observation has rows and columns: {has}. Let the environment show one (deepmimic: observation.terrain "
            "rays or grid), or take a perceptron, mlp_<units>_<units>..."
        )
    (picture,) = pictures
    first = sum(group.size for group in groups[: groups.index(picture)])
    return slice(first, first + picture.size), (picture.shape[0], picture.shape[1])


class TerrainNetwork(nn.Module):
    """A perceptron over all other observations and the code that an encoder makes of the terrain's picture.

    Args:
        encoder: ``(picture [N, R, C], others [N, K]) -> code [N, U]``.
        columns: where the picture lies in the observation.
        sizes: of the perceptron's layers; the first is K + U.
    """

    def __init__(
        self,
        encoder: nn.Module,
        columns: slice,
        shape: tuple[int, int],
        sizes: tuple[int, ...],
        activation: str,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.encoder, self._columns, self._shape = encoder, columns, shape
        self.mlp = make_mlp(sizes, activation, rng)

    def forward(self, obs: Tensor) -> Tensor:
        """Outputs for normalised observations ``[N, O]``."""
        picture = obs[:, self._columns].unflatten(1, self._shape)
        others = torch.cat([obs[:, : self._columns.start], obs[:, self._columns.stop :]], dim=1)
        return self.mlp(torch.cat([others, self.encoder(picture, others)], dim=1))


class CnnEncoder(nn.Module):
    """Three convolutions, the last two of stride 2, and a layer to the code."""

    def __init__(self, shape: tuple[int, int], units: int, activation: str, rng: torch.Generator) -> None:
        super().__init__()
        act = ACTIVATIONS[activation]
        left = math.prod((side + 3) // 4 for side in shape)  # heights; halved twice, rounded up
        self.layers = nn.Sequential(
            conv(1, 16, 1, rng), act(), conv(16, 32, 2, rng), act(), conv(32, 32, 2, rng), act(),
            nn.Flatten(), linear(32 * left, units, rng), act(),
        )  # fmt: skip

    def forward(self, picture: Tensor, others: Tensor) -> Tensor:
        """Code ``[N, U]`` of pictures ``[N, R, C]``; what else is seen does not matter."""
        return self.layers(picture[:, None])


class VitEncoder(nn.Module):
    """A small transformer over patches of the picture and one token of all other observations.

    Each side is cut into at most eight patches; a side that does not divide is continued with its last heights. The
    code is what becomes of the token of the other observations, which asks the patches for what it needs.

    Source: Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words"; layer norms before the blocks.
    """

    def __init__(self, shape: tuple[int, int], num_others: int, units: int, rng: torch.Generator) -> None:
        super().__init__()
        if units % _HEADS:
            raise ConfigError(
                f"agent.model.terrain_units is {units}; a transformer divides it among {_HEADS} heads. "
                f"Take a multiple of {_HEADS}."
            )
        self._patch = tuple(-(-side // _PATCHES) for side in shape)
        self._grid = tuple(-(-side // patch) for side, patch in zip(shape, self._patch))
        rows, columns = (n * p - side for n, p, side in zip(self._grid, self._patch, shape))
        self._pad = (0, columns, 0, rows)
        self.patches = linear(math.prod(self._patch), units, rng)
        self.others = linear(num_others, units, rng)
        self.place = nn.Parameter(0.02 * torch.randn(1 + math.prod(self._grid), units, generator=rng))
        self.blocks = nn.Sequential(*(_Block(units, rng) for _ in range(_DEPTH)))
        self.norm = nn.LayerNorm(units)

    def forward(self, picture: Tensor, others: Tensor) -> Tensor:
        """Code ``[N, U]`` of pictures ``[N, R, C]`` for other observations ``[N, K]``."""
        if any(self._pad):
            picture = functional.pad(picture[:, None], self._pad, mode="replicate")[:, 0]
        cut = picture.unflatten(2, (self._grid[1], -1)).unflatten(1, (self._grid[0], -1))  # [N, r, R, c, C]
        cut = cut.transpose(2, 3).flatten(3).flatten(1, 2)  # [N, patches, numbers]
        tokens = torch.cat([self.others(others)[:, None], self.patches(cut)], dim=1) + self.place
        return self.norm(self.blocks(tokens)[:, 0])


class _Block(nn.Module):
    def __init__(self, units: int, rng: torch.Generator) -> None:
        super().__init__()
        self.norm_attend, self.norm_think = nn.LayerNorm(units), nn.LayerNorm(units)
        self.ask = linear(units, 3 * units, rng)  # queries, keys, values
        self.join = linear(units, units, rng)
        self.think = make_mlp((units, 2 * units, units), "silu", rng)

    def forward(self, tokens: Tensor) -> Tensor:
        parts = self.ask(self.norm_attend(tokens)).unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(*parts.unbind(0))  # [N, heads, tokens, units / heads]
        tokens = tokens + self.join(seen.transpose(1, 2).flatten(2))
        return tokens + self.think(self.norm_think(tokens))
