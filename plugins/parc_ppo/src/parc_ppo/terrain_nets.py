"""Networks that see the terrain as a picture: an encoder makes an embedding of it, which a perceptron takes as input.

The implementation that `parc_motion.published` cites names a CNN-MLP and a vision transformer and does not contain
them; sizes are ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from parc_core.errors import ConfigError
from parc_core.interfaces import ObservationGroup
from parc_ppo.mlp import ACTIVATIONS, conv, linear, make_mlp
from parc_ppo.net_names import CnnMlpConfig, VitConfig

__all__ = ["CnnEncoder", "CnnMlp", "VitEncoder", "VitMlp", "terrain_columns"]

_PATCHES = 8  # at most, along either side of the picture
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
            f"agent.model: network '{net}' needs the terrain as a picture, and {which} of the environment's "
            f"observation has rows and columns: {has}. Let the environment show one (deepmimic: observation.terrain "
            "rays or grid), or use a perceptron, mlp_<units>_<units>..."
        )
    (picture,) = pictures
    first = sum(group.size for group in groups[: groups.index(picture)])
    return slice(first, first + picture.size), (picture.shape[0], picture.shape[1])


class _TerrainMlp(nn.Module):
    """A perceptron whose inputs are all other observations and the embedding of the terrain's picture."""

    mlp: nn.Sequential

    def __init__(self, encoder: nn.Module, columns: slice, shape: tuple[int, int]) -> None:
        super().__init__()
        self.encoder, self._columns, self._shape = encoder, columns, shape

    @property
    def output_layer(self) -> nn.Module:
        """The last linear layer."""
        return self.mlp[-1]

    def forward(self, obs: Tensor) -> Tensor:
        """Outputs for normalized observations ``[N, O]``."""
        picture = obs[:, self._columns].unflatten(1, self._shape)
        others = torch.cat([obs[:, : self._columns.start], obs[:, self._columns.stop :]], dim=1)
        return self.mlp(torch.cat([others, self.encoder(picture, others)], dim=1))


class CnnMlp(_TerrainMlp):
    """Policy network `cnn_mlp`: a perceptron with a convolutional encoder of the terrain."""

    def __init__(
        self,
        config: CnnMlpConfig,
        *,
        num_inputs: int,
        num_outputs: int,
        groups: tuple[ObservationGroup, ...],
        device: str,
        rng: torch.Generator,
    ) -> None:
        columns, shape = terrain_columns(groups, "cnn_mlp")
        super().__init__(CnnEncoder(shape, config.terrain_units, config.activation, rng), columns, shape)
        first = num_inputs - math.prod(shape) + config.terrain_units
        self.mlp = make_mlp((first, *config.units, num_outputs), config.activation, rng)


class VitMlp(_TerrainMlp):
    """Policy network `vit`: a perceptron with a transformer as encoder of the terrain."""

    def __init__(
        self,
        config: VitConfig,
        *,
        num_inputs: int,
        num_outputs: int,
        groups: tuple[ObservationGroup, ...],
        device: str,
        rng: torch.Generator,
    ) -> None:
        columns, shape = terrain_columns(groups, "vit")
        num_others = num_inputs - math.prod(shape)
        super().__init__(VitEncoder(shape, num_others, config.terrain_units, rng), columns, shape)
        sizes = (num_others + config.terrain_units, *config.units, num_outputs)
        self.mlp = make_mlp(sizes, config.activation, rng)


class CnnEncoder(nn.Module):
    """Three convolutions, the last two of stride 2, and a linear layer to the embedding."""

    def __init__(self, shape: tuple[int, int], units: int, activation: str, rng: torch.Generator) -> None:
        super().__init__()
        act = ACTIVATIONS[activation]
        left = math.prod((side + 3) // 4 for side in shape)  # pixels; each side is halved twice, rounded up
        self.layers = nn.Sequential(
            conv(1, 16, 1, rng), act(), conv(16, 32, 2, rng), act(), conv(32, 32, 2, rng), act(),
            nn.Flatten(), linear(32 * left, units, rng), act(),
        )  # fmt: skip

    def forward(self, picture: Tensor, others: Tensor) -> Tensor:
        """Embedding ``[N, U]`` of pictures ``[N, R, C]``; the other observations are not used."""
        return self.layers(picture[:, None])


class VitEncoder(nn.Module):
    """A small vision transformer: tokens are patches of the picture, and one token of all other observations.

    Each side is cut into at most eight patches; a side that does not divide is padded with its last heights. The
    embedding is the output at the token of the other observations, which takes the role of the class token.

    Source: Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words"; layer norms before the blocks.
    """

    def __init__(self, shape: tuple[int, int], num_others: int, units: int, rng: torch.Generator) -> None:
        super().__init__()
        rows, columns = shape
        self._patch = (-(-rows // _PATCHES), -(-columns // _PATCHES))
        self._grid = (-(-rows // self._patch[0]), -(-columns // self._patch[1]))
        pad_rows = self._grid[0] * self._patch[0] - rows
        pad_columns = self._grid[1] * self._patch[1] - columns
        self._pad = (0, pad_columns, 0, pad_rows)
        self.patches = linear(math.prod(self._patch), units, rng)
        self.others = linear(num_others, units, rng)
        self.position = nn.Parameter(0.02 * torch.randn(1 + math.prod(self._grid), units, generator=rng))
        self.blocks = nn.Sequential(*(_Block(units, rng) for _ in range(_DEPTH)))
        self.norm = nn.LayerNorm(units)
        self.register_load_state_dict_pre_hook(_rename_weights)

    def forward(self, picture: Tensor, others: Tensor) -> Tensor:
        """Embedding ``[N, U]`` of pictures ``[N, R, C]`` for other observations ``[N, K]``."""
        if any(self._pad):
            picture = functional.pad(picture[:, None], self._pad, mode="replicate")[:, 0]
        cut = picture.unflatten(2, (self._grid[1], -1)).unflatten(1, (self._grid[0], -1))  # [N, r, R, c, C]
        cut = cut.transpose(2, 3).flatten(3).flatten(1, 2)  # [N, patches, numbers]
        tokens = torch.cat([self.others(others)[:, None], self.patches(cut)], dim=1) + self.position
        return self.norm(self.blocks(tokens)[:, 0])


class _Block(nn.Module):
    """Multi-head self-attention and a feed-forward network, each with a layer norm before and a residual around."""

    def __init__(self, units: int, rng: torch.Generator) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(units), nn.LayerNorm(units)
        self.qkv = linear(units, 3 * units, rng)
        self.output_projection = linear(units, units, rng)
        self.feed_forward = make_mlp((units, 2 * units, units), "silu", rng)

    def forward(self, tokens: Tensor) -> Tensor:
        qkv = self.qkv(self.attention_norm(tokens)).unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        heads = functional.scaled_dot_product_attention(*qkv.unbind(0))  # [N, heads, tokens, units / heads]
        tokens = tokens + self.output_projection(heads.transpose(1, 2).flatten(2))
        return tokens + self.feed_forward(self.feed_forward_norm(tokens))


#: names of weights in policies of earlier versions, and what they are called now
_RENAMED = {
    "place": "position",
    "norm_attend": "attention_norm",
    "norm_think": "feed_forward_norm",
    "ask": "qkv",
    "join": "output_projection",
    "think": "feed_forward",
}


def _rename_weights(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    for key in [key for key in state if key.startswith(prefix)]:
        parts = [_RENAMED.get(part, part) for part in key[len(prefix) :].split(".")]
        state[prefix + ".".join(parts)] = state.pop(key)
