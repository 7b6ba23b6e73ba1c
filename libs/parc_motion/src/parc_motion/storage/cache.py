"""A cache of packed stores: the first process that needs a store builds it, every later one opens it.

A store is a folder `<name>-<digest of its key>`, so that another key is another store. The folder of the cache may be
deleted at any time.
"""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Callable
from typing import Any

from parc_motion.errors import DataError
from parc_motion.storage.atomic import commit_folder, remove
from parc_motion.storage.digests import digest_json
from parc_motion.storage.lock import exclusive
from parc_motion.storage.packed import PackedArrays

__all__ = ["cached_store"]

log = logging.getLogger(__name__)


def cached_store(
    cache: pathlib.Path, name: str, key: Any, build: Callable[[pathlib.Path], None]
) -> PackedArrays:
    """The store of a key, opened; built if the cache does not hold it or holds a damaged one.

    Of several processes that need it at once, one builds and the others wait. A store appears under its name only when
    it is complete. `build` writes into a folder that outlives an interruption, so a `PackedWriter` with checkpoints
    continues there. Opening checks the digest of the manifest and the sizes of the files, not their content.

    Args:
        cache: folder of the cache.
        name: beginning of the folder's name, e.g. ``"clips"``.
        key: JSON value of everything that determines the content, including a version of the code that builds it.
        build: writes the store (with `PackedWriter`) into the folder that it is given.

    Raises:
        StorageError: the cache cannot be written.
    """
    folder = pathlib.Path(cache) / f"{name}-{digest_json(key)[:24]}"
    store = _open(folder)
    if store is not None:
        return store
    with exclusive(folder.with_name(f".{folder.name}.lock")):
        store = _open(folder)  # another process may have built it while this one waited
        if store is None:
            remove(folder)
            staged = folder.with_name(f".{folder.name}.partial")
            build(staged)
            commit_folder(staged, folder)
            store = PackedArrays.load(folder, verify=False)
    return store


def _open(folder: pathlib.Path) -> PackedArrays | None:
    if not folder.is_dir():
        return None
    try:
        return PackedArrays.load(folder, verify=False)
    except DataError as err:
        log.warning("the cached store is damaged and will be built again: %s", err)
        return None
