"""Errors of the framework, with the exit code that `parc` gives for each.

A message has four parts, in this order: where (file:line:column or artifact), what is wrong with the value shown,
what would have been right or what exists, what to do.
"""

from __future__ import annotations

from parc_motion.errors import ParcError

__all__ = [
    "AmbiguousProvider",
    "BrokenPlugin",
    "ConfigError",
    "IncompatiblePlugin",
    "JobFailed",
    "NoCandidate",
    "NoPathFound",
    "PluginError",
    "ProcessLost",
    "ProviderUnavailable",
    "SimulationDiverged",
    "StageFailed",
    "TrainingDiverged",
    "UnknownProvider",
]


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


class JobFailed(ParcError):
    """Jobs of a stage failed, here or in a worker; the exit code is that of the first one's error."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class StageFailed(ParcError):
    """A stage of a run failed; the text names the command that continues it."""


class TrainingDiverged(StageFailed):
    """A loss, a gradient or a weight is not finite any more, and a smaller step did not help."""


class ProcessLost(ParcError):
    """Another process of a data-parallel training has ended; that one says why."""


class SimulationDiverged(ParcError):
    """A simulator state is not finite any more."""


class NoPathFound(ParcError):
    """A planner found no path; expected during generation and counted."""


class NoCandidate(ParcError):
    """No candidate passed the selector; expected during generation and counted."""
