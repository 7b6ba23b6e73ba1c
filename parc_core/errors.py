"""Errors of the framework, with the exit code that `parc` gives for each.

A message has four parts, in this order: where (file:line:column or artifact), what is wrong with the value shown,
what would have been right or what exists, what to do.
"""

from __future__ import annotations

import signal

from parc_motion.errors import ParcError

__all__ = [
    "RAISED_IN",
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
    "describe_error",
    "error_text",
    "is_interrupt",
    "raiser",
]

RAISED_IN = "raised in "  # begins the note about the provider that raised an exception
_SHOWN = 4000  # characters of the text of an error


def error_text(err: BaseException, limit: int = _SHOWN) -> str:
    """The text of an exception for a terminal or a log: control characters escaped, cut after `limit` characters.

    Empty where its ``__str__`` raises.
    """
    try:
        text = str(err)
    except BaseException:  # a __str__ that raises must not hide the error that it belongs to
        return ""
    if len(text) > limit:
        text = f"{text[:limit]} ... ({len(text):,} characters)"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


def describe_error(err: BaseException, limit: int = 600) -> str:
    """``Type: text`` of an exception on one line; without the text if its ``__str__`` raises."""
    text = " ".join(error_text(err, limit).split())
    if isinstance(err, SystemExit):
        text = f"{text} (the plugin called sys.exit)".strip()
    text = f"{type(err).__name__}: {text}" if text else type(err).__name__
    return f"{text} ({RAISED_IN}{raiser(err)})" if raiser(err) else text


def raiser(err: BaseException) -> str:
    """The provider that raised an exception, as far as a note says so; "" if none does."""
    notes = [note for note in getattr(err, "__notes__", ()) if str(note).startswith(RAISED_IN)]
    return str(notes[0]).removeprefix(RAISED_IN) if notes else ""


def is_interrupt(err: BaseException) -> bool:
    """Whether an exception is Ctrl-C: where another handler takes SIGINT, only a plugin's code raises it."""
    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return isinstance(err, KeyboardInterrupt) and default


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
    """The plugin raised while it was loaded, or ended the program in the middle of its work."""


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
