"""Multilayer perceptrons, and layers whose initial weights come from a given generator."""

from __future__ import annotations

import itertools
import math
from typing import TypeVar

import torch
from torch import nn

from parc_core.interfaces import ObservationGroup
from parc_ppo.net_names import MlpConfig

__all__ = ["ACTIVATIONS", "Mlp", "conv", "linear", "make_mlp"]

#: by name in the settings
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "elu": nn.ELU, "tanh": nn.Tanh, "silu": nn.SiLU}

_Layer = TypeVar("_Layer", nn.Linear, nn.Conv2d)


class Mlp(nn.Sequential):
    """Policy network `mlp`: linear layers with activations in between, ``[N, num_inputs] -> [N, num_outputs]``."""

    def __init__(
        self,
        config: MlpConfig,
        *,
        num_inputs: int,
        num_outputs: int,
        groups: tuple[ObservationGroup, ...],
        device: str,
        rng: torch.Generator,
    ) -> None:
        super().__init__(*_layers((num_inputs, *config.units, num_outputs), config.activation, rng))

    @property
    def output_layer(self) -> nn.Module:
        """The last linear layer."""
        return self[-1]


def make_mlp(sizes: tuple[int, ...], activation: str, rng: torch.Generator) -> nn.Sequential:
    """A perceptron ``sizes[0] -> ... -> sizes[-1]``, linear at the end, biases 0."""
    return nn.Sequential(*_layers(sizes, activation, rng))


def linear(fan_in: int, fan_out: int, rng: torch.Generator) -> nn.Linear:
    """A linear layer with PyTorch's default initial weights, sampled with `rng`, and bias 0."""
    return _initialized(nn.utils.skip_init(nn.Linear, fan_in, fan_out), rng)


def conv(channels_in: int, channels_out: int, stride: int, rng: torch.Generator) -> nn.Conv2d:
    """A 3 x 3 convolution with padding 1: the output has the size of the input divided by the stride."""
    layer = nn.utils.skip_init(nn.Conv2d, channels_in, channels_out, kernel_size=3, stride=stride, padding=1)
    return _initialized(layer, rng)


def _layers(sizes: tuple[int, ...], activation: str, rng: torch.Generator) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        layers.append(linear(fan_in, fan_out, rng))
        if i < len(sizes) - 2:
            layers.append(ACTIVATIONS[activation]())
    return layers


def _initialized(layer: _Layer, rng: torch.Generator) -> _Layer:
    # the layer was made by skip_init: its own initialization would sample with the global generator
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=rng)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
