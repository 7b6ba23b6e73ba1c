"""A generator in a folder: `model.safetensors` and `generator.json`."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

from torch import Tensor

from parc_mdm.config import SHAPE_SETTINGS, plain_settings
from parc_mdm.model import MotionModel
from parc_motion.storage import make_folder, write_manifest, write_tensors

__all__ = ["STATISTICS", "WEIGHTS", "write_model"]

WEIGHTS = "model.safetensors"
STATISTICS = ("mean", "std", "start_height")


def write_model(model: MotionModel, folder: pathlib.Path, weights: Mapping[str, Tensor]) -> None:
    """Write weights of the denoiser with the model's statistics and settings.

    Args:
        weights: of the denoiser, as its `state_dict` names them.
    """
    make_folder(folder)
    tensors = {f"denoiser.{name}": value for name, value in weights.items()}
    tensors |= {name: getattr(model, name) for name in STATISTICS}
    write_tensors(folder / WEIGHTS, tensors)
    settings = plain_settings(model.config)
    fields = {
        "provider": "mdm",
        "skeleton": model.kin.skeleton.id,
        "num_features": model.layout.width,
        "shape": {name: settings[name] for name in SHAPE_SETTINGS},
        "settings": settings,
    }
    write_manifest(folder, "generator", fields)
