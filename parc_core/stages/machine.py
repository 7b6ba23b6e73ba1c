"""The machine that carries out a job, as its record tells: what else its result may depend on."""

from __future__ import annotations

import functools
import os
import platform
import sys
from typing import Any

__all__ = ["machine_of"]


def machine_of(device: str, simulator_threads: int, torch_threads: int) -> dict[str, Any]:
    """Versions of what everything is computed with, device, threads and processor; JSON values."""
    threads = {"simulator": simulator_threads, "torch": torch_threads}
    return {**_this_machine(), "device": device, "threads": threads}


@functools.cache
def _this_machine() -> dict[str, Any]:
    import numpy
    import torch

    return {
        "python": sys.version.split()[0],
        "numpy": numpy.__version__,
        "torch": torch.__version__,
        "platform": platform.platform(),
        "cpu": {"count": os.cpu_count(), "capability": torch.backends.cpu.get_cpu_capability()},
    }
