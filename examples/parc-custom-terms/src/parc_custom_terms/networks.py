"""A network for actors and critics."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor, nn

from parc_core.config import setting
from parc_core.interfaces import ObservationGroup

__all__ = ["ResidualMlp", "ResidualMlpConfig"]


@attrs.frozen(kw_only=True)
class ResidualMlpConfig:
    """Settings of `residual_mlp`."""

    units: int = setting(128, ge=1, help="Width of the hidden layers.")
    blocks: int = setting(2, ge=1, help="Number of hidden layers, each with a skip connection.")


class ResidualMlp(nn.Module):
    """x + ELU(W x) block after block, then a linear layer."""

    def __init__(
        self,
        config: ResidualMlpConfig,
        *,
        num_inputs: int,
        num_outputs: int,
        groups: tuple[ObservationGroup, ...],
        device: str,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.first = nn.Linear(num_inputs, config.units)
        self.blocks = nn.ModuleList(nn.Linear(config.units, config.units) for _ in range(config.blocks))
        self.output_layer = nn.Linear(config.units, num_outputs)

    def forward(self, obs: Tensor) -> Tensor:
        """Outputs ``[N, num_outputs]`` for normalized observations ``[N, O]``."""
        x = self.first(obs)
        for block in self.blocks:
            x = x + nn.functional.elu(block(x))
        return self.output_layer(x)
