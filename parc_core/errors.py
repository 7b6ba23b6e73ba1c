"""Every error that a caller may want to catch, with the exit code that `parc` gives for it.

A message has four parts, in this order: where (file:line:column or artifact), what is wrong with the value shown,
what would have been right or what exists, what to do.
"""

from __future__ import annotations

__all__ = [
    "AmbiguousProvider",
    "BrokenPlugin",
    "ConfigError",
    "CorruptArtifact",
    "DataError",
    "IncompatiblePlugin",
    "NoCandidate",
    "NoPathFound",
    "ParcError",
    "PluginError",
    "ProviderUnavailable",
    "RunLocked",
    "ShapeError",
    "SimulationDiverged",
    "SkeletonMismatch",
    "StageFailed",
    "StorageError",
    "UnknownProvider",
]


class ParcError(Exception):
    """Base of every error that PARC raises on purpose; its text is fit for a user."""

    exit_code = 70


class ConfigError(ParcError):
    """Unknown key, wrong type, value out of range, unresolved variable."""

    exit_code = 2


class PluginError(ParcError):
    """A provider or plugin cannot be used."""

    exit_code = 2


class UnknownProvider(PluginError):
    """No provider of that kind has the name."""


class AmbiguousProvider(PluginError):
    """Two distributions own the name; `dist:name` chooses one."""


class ProviderUnavailable(PluginError):
    """The provider is registered, but its target cannot be imported."""


class IncompatiblePlugin(PluginError):
    """The plugin was written for another `PARC_API`."""


class BrokenPlugin(PluginError):
    """The plugin module raised while it was loaded."""


class DataError(ParcError):
    """A file or array does not hold what it should."""

    exit_code = 65


class ShapeError(DataError):
    """An array has the wrong shape or type."""


class CorruptArtifact(DataError):
    """A file is damaged: unreadable, truncated, or its digest differs from the recorded one."""


class SkeletonMismatch(DataError):
    """A clip was made for another character."""


class StorageError(ParcError):
    """A file or folder cannot be written: disk full, read-only, no permission."""

    exit_code = 73


class RunLocked(ParcError):
    """Another process holds the run folder."""

    exit_code = 75


class StageFailed(ParcError):
    """A stage of a run failed; the text names the command that continues it."""


class SimulationDiverged(ParcError):
    """A simulator state is not finite any more."""


class NoPathFound(ParcError):
    """A planner found no path; expected during generation and counted."""


class NoCandidate(ParcError):
    """No candidate passed the selector; expected during generation and counted."""
