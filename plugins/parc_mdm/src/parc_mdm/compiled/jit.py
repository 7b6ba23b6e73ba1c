"""How kernels are compiled (without the interpreter's lock, cached on disk) and run on several threads.

Numba keeps them beside the source or, where that folder cannot be written, in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import pathlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

__all__ = ["array", "kernel", "parallel_for"]

log = logging.getLogger(__name__)

# sums may be reordered and products fused with sums; numbers that are not finite stay so
_FAST = {"reassoc", "contract", "arcp", "nsz"}


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for file in sorted(pathlib.Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


_SOURCES = _digest_of_sources()


def kernel(*, inline: str = "never") -> Callable[[Callable[..., Any]], Any]:
    """A decorator that compiles a function at its first call, or loads it when an earlier process compiled it.

    Args:
        inline: "always" for small functions that are copied to where they are called.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        options: dict[str, Any] = {"nogil": True, "inline": inline, "fastmath": _FAST, "error_model": "numpy"}
        try:
            dispatcher = njit(cache=True, **options)(function)
        except RuntimeError as err:  # neither folder can be written
            _warn_once(str(err))
            return njit(**options)(function)
        # Numba compiles callees into their callers but looks for changes in a function's own file only
        with contextlib.suppress(AttributeError):
            index = dispatcher._cache._cache_file
            index._source_stamp = (index._source_stamp, _SOURCES)
        return dispatcher

    return compiled


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


@functools.cache
def _warn_once(reason: str) -> None:
    log.warning(
        "compiled kernels cannot be cached, so every process compiles them again (10 to 30 s): %s. "
        "Set NUMBA_CACHE_DIR to a folder that can be written.",
        reason.split(" for file ")[0],
    )
