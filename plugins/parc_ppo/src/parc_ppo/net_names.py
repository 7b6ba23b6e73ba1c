"""Settings of the built-in networks and their short names; imports no torch, so files are checked without it."""

from __future__ import annotations

import re
from typing import Literal

import attrs

from parc_core.config import Use, setting
from parc_core.errors import ConfigError

__all__ = ["Activation", "CnnMlpConfig", "MlpConfig", "VitConfig", "check_short_name", "named_network"]

Activation = Literal["relu", "elu", "tanh", "silu"]

_FORM = re.compile(r"(mlp|cnn_mlp|vit)((?:_[1-9][0-9]{0,4})+)")


@attrs.frozen(kw_only=True)
class MlpConfig:
    """Settings of `mlp`."""

    units: tuple[int, ...] = setting((512, 512), ge=1, le=65536, help="Widths of the hidden layers.")
    activation: Activation = setting("relu", help="Activation function after every hidden layer.")

    def __attrs_post_init__(self) -> None:
        if not self.units:
            raise ConfigError(
                "units is empty, expected the width of at least one hidden layer, e.g. [512, 512]"
            )


@attrs.frozen(kw_only=True)
class CnnMlpConfig(MlpConfig):
    """Settings of `cnn_mlp`."""

    terrain_units: int = setting(64, ge=1, le=65536, help="Size of the embedding of the terrain.")


@attrs.frozen(kw_only=True)
class VitConfig(MlpConfig):
    """Settings of `vit`."""

    terrain_units: int = setting(
        64,
        ge=1,
        le=65536,
        help="Size of the tokens and of the embedding of the terrain; a multiple of 4, the number of heads.",
    )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.terrain_units % 4:
            raise ConfigError(
                f"terrain_units is {self.terrain_units}, which a transformer cannot divide among 4 attention heads. "
                "Use a multiple of 4."
            )


def check_short_name(name: str) -> None:
    """Accept names such as ``mlp_512_512`` or ``vit_256``.

    Raises:
        ConfigError: the name has none of these forms.
    """
    _parts(name)


def named_network(name: str, activation: Activation, terrain_units: int) -> Use:
    """The built-in network that a short name such as ``mlp_512_512`` stands for.

    Args:
        terrain_units: of ``cnn_mlp`` and ``vit``.

    Raises:
        ConfigError: the name has none of these forms, or the settings do not suit the network.
    """
    kind, units = _parts(name)
    if kind == "mlp":
        config: MlpConfig = MlpConfig(units=units, activation=activation)
    elif kind == "cnn_mlp":
        config = CnnMlpConfig(units=units, activation=activation, terrain_units=terrain_units)
    else:
        config = VitConfig(units=units, activation=activation, terrain_units=terrain_units)
    return Use(f"parc-ppo:{kind}", config, kind="policy_network")


def _parts(name: str) -> tuple[str, tuple[int, ...]]:
    match = _FORM.fullmatch(name)
    if match is None:
        raise ConfigError(
            f"agent.model: network '{name}' is not known. Write mlp_<units>_<units>..., cnn_mlp_<units>... or "
            "vit_<units>..., for instance mlp_512_512, or choose a network by class with its settings: "
            "{use: my_nets.py:MyNet, units: 256}."
        )
    return match[1], tuple(int(part) for part in match[2].split("_")[1:])
