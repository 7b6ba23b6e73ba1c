"""A worker process of executor `local`: jobs come as JSON lines on stdin, and what happens goes as lines to stdout.

`parc job run --json-lines` writes the same lines.

In come ``{"job": {...}, "threads": n}`` and ``{"stop": true}``; out go ``{"alive": true}``, ``{"update": [done, total,
note]}``, ``{"message": [stage, text]}``, ``{"log": {...}}`` and, at the end of a job, ``{"result": {...}}``. When stdin
ends, whoever started the worker is gone, and so it ends too: at once, because its job continues from its checkpoints.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import queue
import sys
import threading
import time
from typing import Any, TextIO

from parc_core.interfaces import JobSpec
from parc_core.runner.stop import StopFlag

__all__ = ["ALIVE_S", "Wire", "end_with_stdin", "main", "open_wire"]

ALIVE_S = 2.0  # between signs of life


def main() -> None:
    """Carry out jobs until stdin ends."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    wire = open_wire()
    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    # whoever started the worker says when to stop; a scheduler may say it to every process of the run
    with StopFlag() as stop:
        threading.Thread(target=_listen, args=(jobs, stop), daemon=True).start()
        from parc_core.runner.jobs import carry_out
        from parc_core.runner.outcome import outcome_of

        while True:
            order = jobs.get()
            job = JobSpec.read(order["job"])
            result = outcome_of(functools.partial(carry_out, job, wire, stop, order["threads"]), job.name)
            wire.send("result", result.plain())
            if result.state == "lost":
                os._exit(1)  # out of memory: what this process still holds is given back


def open_wire(logs: bool = True) -> Wire:
    """Lines to stdout from now on: signs of life, log records if wanted, and what the caller sends."""
    wire = Wire(os.fdopen(os.dup(sys.stdout.fileno()), "w"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not end up among the lines
    threading.Thread(target=_beat, args=(wire,), daemon=True).start()
    if logs:
        logging.getLogger().addHandler(_ToWire(wire))
        logging.getLogger().setLevel(logging.INFO)
        logging.getLogger("parc_core").setLevel(logging.DEBUG)
    return wire


def end_with_stdin() -> None:
    """End this process as soon as whoever holds the other end of stdin is gone."""

    def listen() -> None:
        for _ in sys.stdin:
            pass
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()


def _listen(jobs: queue.Queue[dict[str, Any]], stop: StopFlag) -> None:
    for line in sys.stdin:
        order = json.loads(line)
        if "stop" in order:
            stop.request()
        else:
            jobs.put(order)
    os._exit(0)


def _beat(wire: Wire) -> None:
    while True:
        wire.send("alive", True)
        time.sleep(ALIVE_S)


class Wire:
    """Writes lines; it is also the reporter of a job."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.lock = stream, threading.Lock()
        self._ended = False

    def end(self, kind: str, value: Any) -> None:
        """Write the last line: nothing follows it, not even a sign of life."""
        with self.lock:
            self._write(kind, value)
            self._ended = True

    def send(self, kind: str, value: Any) -> None:
        """Write one line. A reader that is gone ends the process."""
        with self.lock:
            if not self._ended:
                self._write(kind, value)

    def _write(self, kind: str, value: Any) -> None:
        try:
            self.stream.write(json.dumps({kind: value}, default=str) + "\n")
            self.stream.flush()
        except OSError:
            os._exit(0)

    def message(self, stage: str, text: str) -> None:
        """One line for a person who follows the run."""
        self.send("message", [stage, text])

    def update(self, stage: str, done: float, total: float, note: str) -> None:
        """How far the job is."""
        self.send("update", [done, total, note])


class _ToWire(logging.Handler):
    """Log records as lines, so that one process writes the log of the run."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(logging.DEBUG)
        self.wire = wire

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record, the traceback in its text."""
        try:
            text = self.format(record)
        except Exception:  # a plugin's log call with wrong arguments
            self.handleError(record)
            return
        self.wire.send("log", {"name": record.name, "level": record.levelno, "text": text})


if __name__ == "__main__":
    main()
