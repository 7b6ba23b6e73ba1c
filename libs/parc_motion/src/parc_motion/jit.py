"""How Numba kernels are compiled: without the interpreter's lock, and cached on disk.

Numba keeps them beside the source or, where that folder cannot be written, in the user's cache folder. Numba is
imported when a compiler is made, so it is needed only by packages that have kernels (``parc-motion[compiled]``).
"""

from __future__ import annotations

import functools
import hashlib
import logging
import pathlib
from collections.abc import Callable
from typing import Any

__all__ = ["compiler", "digest_of_sources"]

log = logging.getLogger(__name__)

Decorator = Callable[[Callable[..., Any]], Any]


def digest_of_sources(*folders: pathlib.Path) -> str:
    """SHA-256 of every module in folders of kernels."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def compiler(*folders: pathlib.Path, **options: Any) -> Callable[..., Decorator]:
    """A function ``kernel(inline="never")`` that gives decorators for the kernels in the first folder.

    A decorated function is compiled at its first call, or loaded if an earlier process has compiled it. Small functions
    with ``inline="always"`` are copied to where they are called.

    Args:
        folders: the modules that hold the kernels, and folders of kernels that they call; a change in any module
            compiles all of them again, because Numba compiles callees into their callers but looks for changes in a
            function's own file only.
        options: further options of `numba.njit`.
    """
    import numba

    njit: Any = numba.njit

    sources = digest_of_sources(*folders)

    def kernel(*, inline: str = "never") -> Decorator:
        def compiled(function: Callable[..., Any]) -> Any:
            try:
                dispatcher = njit(cache=True, nogil=True, inline=inline, **options)(function)
            except RuntimeError as err:  # neither folder can be written
                _warn_once(str(err))
                return njit(nogil=True, inline=inline, **options)(function)
            _bind_to_sources(dispatcher, sources)
            return dispatcher

        return compiled

    return kernel


def _bind_to_sources(dispatcher: Any, sources: str) -> None:
    """Let a cached kernel count only for these sources; what another version has cached is never read.

    Numba keeps the types of arguments as pickled classes, which another version of the sources may not have any more.
    """
    index = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if index is None:  # another Numba: its own stamp of the function's file has to do
        return
    base = f"{pathlib.Path(index._index_path).stem}-{sources[:12]}"
    index._index_name, index._data_name_pattern = f"{base}.nbi", f"{base}.{{number:d}}.nbc"
    index._index_path = str(pathlib.Path(index._index_path).with_name(index._index_name))


@functools.cache
def _warn_once(reason: str) -> None:
    log.warning(
        "compiled kernels cannot be cached, so every process compiles them again (10 to 50 s): %s. "
        "Set NUMBA_CACHE_DIR to a folder that can be written.",
        reason.split(" for file ")[0],
    )
