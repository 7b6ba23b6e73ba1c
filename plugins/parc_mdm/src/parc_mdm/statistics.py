"""What features are standardized with, kept beside the training under the digest of all that it follows from."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Callable

from torch import Tensor

from parc_motion.errors import DataError
from parc_motion.storage import digest_file, read_json, read_tensors, write_json, write_tensors

__all__ = ["cached_statistics"]

log = logging.getLogger(__name__)


def cached_statistics(
    folder: pathlib.Path, key: str, compute: Callable[[], dict[str, Tensor]], device: str
) -> dict[str, Tensor]:
    """The statistics that were kept under the key in `folder`, else newly computed ones, which are then kept.

    Statistics of another key or with damaged numbers are never used: they are replaced, and the log says so.

    Args:
        key: digest of clips and settings.
    """
    numbers, label = folder / "statistics.safetensors", folder / "statistics.json"
    if label.is_file():
        reason = _why_not(numbers, label, key)
        if reason is None:
            return read_tensors(numbers, device)
        log.info("%s: %s; the statistics are computed again.", label, reason)
    found = compute()
    write_tensors(numbers, found)
    write_json(label, {"key": key, "sha256": digest_file(numbers)})
    return found


def _why_not(numbers: pathlib.Path, label: pathlib.Path, key: str) -> str | None:
    """Why kept statistics cannot be used."""
    try:
        kept = read_json(label)
        if kept.get("key") != key:
            return "made for other clips or settings"
        if not numbers.is_file() or digest_file(numbers) != kept.get("sha256"):
            return f"{numbers.name} is missing or damaged"
    except (DataError, AttributeError) as err:
        return f"not readable ({err})"
    return None
