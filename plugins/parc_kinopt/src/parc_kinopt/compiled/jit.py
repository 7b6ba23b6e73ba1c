"""How kernels are compiled: for one set of types, without the interpreter's lock, and kept on disk.

Numba keeps them beside the source or, where that folder cannot be written, in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import pathlib
from collections.abc import Callable
from typing import Any

from numba import njit

__all__ = ["SOURCES", "kernel"]

log = logging.getLogger(__name__)


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for file in sorted(pathlib.Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


#: digest of every kernel's source
SOURCES = _digest_of_sources()


def kernel(*, inline: str = "never") -> Callable[[Callable[..., Any]], Any]:
    """A decorator that compiles a function at its first call, or loads it when an earlier process compiled it.

    Args:
        inline: "always" for small functions that are copied to where they are called.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        try:
            dispatcher = njit(cache=True, nogil=True, inline=inline)(function)
        except RuntimeError as err:  # neither folder can be written
            _warn_once(str(err))
            return njit(nogil=True, inline=inline)(function)
        # Numba compiles callees into their callers but looks for changes in a function's own file only
        with contextlib.suppress(AttributeError):
            index = dispatcher._cache._cache_file
            index._source_stamp = (index._source_stamp, SOURCES)
        return dispatcher

    return compiled


@functools.cache
def _warn_once(reason: str) -> None:
    log.warning(
        "compiled kernels cannot be kept, so that every process compiles them anew (20 to 50 s): %s. "
        "Set NUMBA_CACHE_DIR to a folder that can be written.",
        reason.split(" for file ")[0],
    )
