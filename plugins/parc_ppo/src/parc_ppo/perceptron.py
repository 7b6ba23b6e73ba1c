"""Perceptrons, and layers whose first weights come from a given generator."""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn

__all__ = ["ACTIVATIONS", "conv", "linear", "make_mlp"]

#: by name in the settings
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "elu": nn.ELU, "tanh": nn.Tanh, "silu": nn.SiLU}


def make_mlp(sizes: tuple[int, ...], activation: str, rng: torch.Generator) -> nn.Sequential:
    """A perceptron ``sizes[0] -> ... -> sizes[-1]``, linear at the end, biases 0."""
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        layers.append(linear(fan_in, fan_out, rng))
        if i < len(sizes) - 2:
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


def linear(fan_in: int, fan_out: int, rng: torch.Generator) -> nn.Linear:
    """A layer with torch's usual first weights, drawn from `rng`, and bias 0."""
    return _start(nn.utils.skip_init(nn.Linear, fan_in, fan_out), rng)


def conv(planes_in: int, planes_out: int, stride: int, rng: torch.Generator) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size, divided by the stride."""
    return _start(
        nn.utils.skip_init(nn.Conv2d, planes_in, planes_out, kernel_size=3, stride=stride, padding=1), rng
    )


def _start(layer: nn.Module, rng: torch.Generator) -> nn.Module:
    # skip_init made it: the layer's own initialisation would draw from the global generator
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=rng)
    nn.init.zeros_(layer.bias)
    return layer
