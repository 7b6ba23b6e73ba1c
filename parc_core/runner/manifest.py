"""`manifest.json`: what a run was made with, so that it can be made again."""

from __future__ import annotations

import os
import pathlib
import platform
import sys
from typing import Any

from parc_core import PARC_API, __version__
from parc_core.interfaces import RunFolder
from parc_core.plugins import Registry
from parc_motion import storage

__all__ = ["write_manifest"]


def write_manifest(
    folder: pathlib.Path, registry: Registry, config: Any, device: str, threads: dict[str, int]
) -> None:
    """Write versions, plugins, seed, threads and machine into the run folder."""
    import numpy
    import torch

    document = {
        "format": 1,
        "parc_core": __version__,
        "parc_api": list(PARC_API),
        "python": sys.version.split()[0],
        "numpy": numpy.__version__,
        "torch": torch.__version__,
        "plugins": sorted({f"{row.dist} {row.version}" for row in registry.providers()}),
        "seed": config.seed,
        "device": device,
        "threads": threads,
        "cpu": {"count": os.cpu_count(), "capability": torch.backends.cpu.get_cpu_capability()},
        "platform": platform.platform(),
    }
    storage.write_json(RunFolder(folder).manifest, document)
