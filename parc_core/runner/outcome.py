"""How the work on a job ended, as data: what a worker says to whoever waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from parc_core.errors import JobFailed, describe_error, error_text, is_interrupt
from parc_core.interfaces import JobResult, Stopped
from parc_motion.errors import ParcError
from parc_motion.storage import Held

__all__ = ["error_of", "is_out_of_memory", "outcome_of"]

log = logging.getLogger(__name__)


def outcome_of(work: Callable[[], Any], name: str, log_file: str = "log.txt") -> JobResult:
    """How `work` ended; the log says where an unexpected error came from.

    Args:
        name: of the job, for messages.
        log_file: where the log of this process goes, for messages.
    """
    try:
        work()
    except Held as held:
        return JobResult(state="held", error=str(held), exit_code=held.exit_code)
    except Stopped as stopped:
        return JobResult(state="stopped", error="stopped", exit_code=stopped.exit_code)
    except MemoryError as err:
        log.debug("%s: out of memory", name, exc_info=err)
        return JobResult(state="lost", error="it ran out of memory", exit_code=ParcError.exit_code)
    except ParcError as err:
        log.debug("%s: failed", name, exc_info=err)
        return JobResult(state="failed", error=error_text(err), exit_code=err.exit_code)
    except BaseException as err:  # a plugin's mistake ends its job, not the worker
        if is_interrupt(err):
            raise
        log.debug("%s: %s", name, describe_error(err), exc_info=err)
        text = f"{describe_error(err)} ({log_file} says where)"
        return JobResult(state="failed", error=text, exit_code=ParcError.exit_code)
    return JobResult(state="finished")


def is_out_of_memory(err: BaseException) -> bool:
    """Whether an error says that there is no memory left, of the processor or of a GPU."""
    refused = isinstance(err, RuntimeError) and "DefaultCPUAllocator" in error_text(err)
    return isinstance(err, MemoryError) or type(err).__name__ == "OutOfMemoryError" or refused


def error_of(failures: list[tuple[str, JobResult]]) -> JobFailed:
    """One error for the jobs of a stage that failed: (name, how it ended) each."""
    name, first = failures[0]
    lines = [first.error if first.state == "failed" else f"{name}: {first.error}"]
    if len(failures) > 1:
        lines = [f"{len(failures)} jobs failed:", *(f"  {name}: {one.error}" for name, one in failures)]
    return JobFailed("\n".join(lines), first.exit_code)
