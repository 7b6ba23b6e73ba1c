"""Looks at paths that a user gave, which may be anything: too long, not allowed, or not paths at all."""

from __future__ import annotations

import os
import pathlib
import stat

from parc_core.errors import ConfigError

__all__ = ["is_file", "is_folder"]


def is_file(path: pathlib.Path) -> bool:
    """Whether a file lies there.

    Raises:
        ConfigError: that cannot be seen: no permission, or the path is too long.
    """
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_folder(path: pathlib.Path) -> bool:
    """Whether a folder lies there.

    Raises:
        ConfigError: as `is_file`.
    """
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(path: pathlib.Path) -> int | None:
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as err:
        text = ascii(str(path))[1:-1] if not str(path).isprintable() else str(path)
        shown = text if len(text) <= 200 else f"{text[:200]}..."
        reason = getattr(err, "strerror", None) or str(err)
        raise ConfigError(f"{shown}: cannot look there: {reason}. Is the path right?") from err
