"""The settings of a preset as an object, for scripts that use parts without the runner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["changed", "preset"]


def preset(cls: type, name: str) -> Any:
    """An instance of a settings class with the values of one of its presets."""
    return changed(cls(), cls.PRESETS[name])


def changed(config: Any, values: Mapping[str, Any]) -> Any:
    """The settings with other values; a mapping changes only what it names of a group."""
    new = {
        key: changed(getattr(config, key), value) if isinstance(value, Mapping) else value
        for key, value in values.items()
    }
    return attrs.evolve(config, **new)
