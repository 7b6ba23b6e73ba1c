"""Numbers that settings give by the name of a body."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from parc_core.errors import ConfigError
from parc_motion.skeletons import Skeleton

__all__ = ["values_by_body"]


def values_by_body(
    values: Mapping[str, float],
    skeleton: Skeleton,
    *,
    default: float,
    setting: str,
    device: str | torch.device,
) -> Tensor:
    """One number per body, ``[B]``: those that are given by name, the default for the others.

    Args:
        setting: where the numbers come from, for the message.

    Raises:
        ConfigError: the character does not have one of the bodies.
    """
    unknown = [name for name in values if name not in skeleton.body_names]
    if unknown:
        raise ConfigError(
            f"{setting}: character '{skeleton.id}' has no body '{unknown[0]}'; it has "
            f"{', '.join(skeleton.body_names)}. Set {setting} for this character ({{}} gives every body {default:g})."
        )
    return torch.tensor([float(values.get(name, default)) for name in skeleton.body_names], device=device)
