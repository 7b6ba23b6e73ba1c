"""One process of a training: started by `parc_core.stages.processes`, or by torchrun with `parc run`."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from parc_core.config import load_iteration
from parc_core.errors import ProcessLost, error_text
from parc_core.interfaces import Parallel, RunFolder, Stopped
from parc_core.plugins import Registry
from parc_core.runner.contexts import contexts
from parc_core.runner.stop import StopFlag
from parc_core.runner.worker import Wire, open_wire
from parc_core.stages import train_gen, train_tracker
from parc_core.stages.context import Reporter
from parc_core.stages.faults import guarded
from parc_core.stages.group import Group, connected_store, device_of, join, leave, simulator_threads
from parc_core.stages.processes import STOPPED, stopped_if_asked
from parc_motion.errors import ParcError

__all__ = ["follow", "main"]

_TAKE_PART = {train_gen.STAGE: train_gen.take_part, train_tracker.STAGE: train_tracker.take_part}


def _take_part(
    training: Mapping[str, Any],
    parallel: Parallel,
    device: str,
    local_size: int,
    reporter: Reporter,
    should_stop: Callable[[], bool],
) -> None:
    """Train together with the other processes.

    Args:
        training: what `parc_core.stages.processes.carry_out` says of it.
        device: of this process.
        local_size: number of processes on this machine, which share its cores.
    """
    import torch

    folder = RunFolder(pathlib.Path(training["run"]))
    registry = Registry.discover()
    config = load_iteration(folder.config, (), registry).config
    run = contexts(config, registry, folder.path, reporter, should_stop)[training["iteration"] - 1]
    torch.set_num_threads(config.torch_threads)
    threads = simulator_threads(config.threads, local_size)
    run = attrs.evolve(run, parallel=parallel, device=device, threads=threads)
    take_part, work = _TAKE_PART[training["stage"]], pathlib.Path(training["folder"])
    with stopped_if_asked(run):
        guarded(config, lambda: take_part(run, work))


def follow() -> None:
    """Take part in every training of a run; for the processes of torchrun that are not the main one.

    Raises:
        Stopped: this process was asked to stop.
        ParcError: a training failed, or the main process has ended.
    """
    logging.disable(logging.INFO)  # the main process says it
    with StopFlag() as stop:
        try:
            group = Group.of_torchrun(None, stop)
            while (training := group.next_training(stop)) is not None:
                _take_part(training, group.parallel, group.device, group.local_size, _Silent(), stop)
        except Stopped as stopped:
            stopped.exit_code = stop.exit_code
            raise
    leave()


def main() -> None:
    """Take part in the training that is named on stdin; what happens goes as lines to stdout, see `Wire`."""
    job = json.loads(sys.stdin.readline())
    wire = open_wire(logs=job["rank"] == 0)  # all of them would say the same
    code = 0
    try:
        with StopFlag() as stop:
            threading.Thread(target=_listen, args=(stop,), daemon=True).start()
            _work(job, wire, stop)
    except Stopped:
        code = STOPPED
    except BaseException as err:  # the top of a process
        if not isinstance(err, ProcessLost):  # of which the other one tells
            traceback.print_exception(err)
        if isinstance(err, ParcError):
            wire.send("error", {"type": type(err).__name__, "text": error_text(err)})
        code = ParcError.exit_code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # an orderly end would wait for operations that a lost process never finishes


def _work(job: dict[str, Any], wire: Wire, stop: StopFlag) -> None:
    rank, size = job["rank"], job["size"]
    device = device_of(job["device"], rank)
    store = connected_store(job["port"])
    parallel = join(store, rank, size, device)
    reporter = wire if rank == 0 else _Silent()
    _take_part(job, parallel, device, size, reporter, stop)
    leave()


def _listen(stop: StopFlag) -> None:
    """Note the word "stop"; end at once when the process that waits for us has ended."""
    for line in sys.stdin:
        if line.strip() == "stop":
            stop.request()
    os._exit(ParcError.exit_code)


class _Silent:
    """A reporter for processes whose reports would repeat those of the main one."""

    def message(self, stage: str, text: str) -> None:
        """Say nothing."""

    def update(self, stage: str, done: float, total: float, note: str) -> None:
        """Say nothing."""


if __name__ == "__main__":
    main()
