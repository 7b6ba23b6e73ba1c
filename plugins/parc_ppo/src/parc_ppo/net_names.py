"""What the names of networks stand for; loads no torch, so that settings are checked when a file is read."""

from __future__ import annotations

import re
from typing import Literal

import attrs

from parc_core.errors import ConfigError

__all__ = ["NetName", "parse_net"]

_FORM = re.compile(r"(mlp|cnn_mlp|vit)((?:_[1-9][0-9]{0,4})+)")


@attrs.frozen(kw_only=True)
class NetName:
    """A network by its kind and the units of its hidden layers."""

    kind: Literal["mlp", "cnn_mlp", "vit"]
    hidden: tuple[int, ...]

    @property
    def sees_terrain(self) -> bool:
        """Whether it needs an observation group that is a picture of the terrain."""
        return self.kind != "mlp"


def parse_net(name: str) -> NetName:
    """The network that a name such as ``mlp_512_512`` or ``vit_256`` stands for.

    Raises:
        ConfigError: the name is none of these forms.
    """
    match = _FORM.fullmatch(name)
    if match is None:
        raise ConfigError(
            f"agent.model: network '{name}' is not known. Write mlp_<units>_<units>... for a perceptron, or "
            "cnn_mlp_<units>... or vit_<units>... for one that sees the terrain through convolutions or a "
            "transformer, for instance mlp_512_512."
        )
    return NetName(kind=match[1], hidden=tuple(int(part) for part in match[2].split("_")[1:]))
