"""Imports an optional package when a sink is created, or says how to install it."""

from __future__ import annotations

import importlib
from types import ModuleType

from parc_core.errors import ProviderUnavailable

__all__ = ["require"]


def require(module: str, sink: str) -> ModuleType:
    """The module.

    Raises:
        ProviderUnavailable: it, or something that it needs, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as err:
        raise ProviderUnavailable(
            f"metric_sink '{sink}' of parc-sinks cannot work: {err}.\n"
            f"  to do       pip install 'parc-sinks[{sink}]', or take {sink} out of `metrics`"
        ) from err
