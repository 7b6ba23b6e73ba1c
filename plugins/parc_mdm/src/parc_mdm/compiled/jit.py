"""How the kernels of this package are compiled and run on several threads."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from parc_motion.jit import compiler

__all__ = ["array", "kernel", "parallel_for"]

# sums may be reordered and products fused with sums; numbers that are not finite stay so
_FAST = {"reassoc", "contract", "arcp", "nsz"}
kernel = compiler(pathlib.Path(__file__).parent, fastmath=_FAST, error_model="numpy")


def array(tensor: Tensor) -> np.ndarray:
    """The memory of a contiguous CPU tensor."""
    return tensor.detach().numpy()


def parallel_for(call: Callable[..., None], count: int, *args: object) -> None:
    """``call(first, last, *args)`` for consecutive ranges of 0 .. count - 1, one range per thread of torch."""
    threads = torch.get_num_threads()
    size = -(-count // threads)
    if size >= count:
        call(0, count, *args)
        return
    futures = [_pool(threads).submit(call, s, min(s + size, count), *args) for s in range(0, count, size)]
    for future in futures:
        future.result()


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="parc_mdm")
