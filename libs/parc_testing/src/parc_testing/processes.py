"""Tests of data-parallel training: a script in several processes on this machine, or threads in their place."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import runpy
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO

import attrs
import torch.distributed as dist
from torch import Tensor

from parc_core.interfaces import Parallel
from parc_core.stages.fork_server import Child, start_child

__all__ = ["join_processes", "run_processes", "run_threads"]


def run_processes(script: str | pathlib.Path, count: int, *arguments: object, timeout: float = 120.0) -> None:
    """Run a script in `count` processes at once; each calls `join_processes` with its command line.

    They have imported already which modules of PARC the caller has.

    Args:
        arguments: of the script; they follow three of `join_processes`.
        timeout: for all of them, s.

    Raises:
        AssertionError: a process failed; the text is what all of them printed.
    """
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    started: list[Child] = []
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(count)]
        try:
            for rank, printed in enumerate(files):
                started.append(_start([script, rank, count, store.port, *arguments], printed))
            until = time.monotonic() + timeout
            codes = [process.wait(max(0.0, until - time.monotonic())) for process in started]
        finally:
            for process in started:
                process.kill()
        assert not any(codes), "\n".join(_text(printed) for printed in files)


def _start(words: Sequence[object], printed: IO[bytes]) -> Child:
    read, write = os.pipe()
    with os.fdopen(write, "w") as orders:
        orders.write(json.dumps([str(word) for word in words]))
    try:
        modules = sorted(name for name in sys.modules if name.startswith("parc_"))
        return start_child(
            __name__,
            stdin=read,
            stdout=printed.fileno(),
            stderr=printed.fileno(),
            modules=["pytest", *modules],
        )
    finally:
        os.close(read)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def main() -> None:
    """Run the script whose command line stands on stdin; for `run_processes`."""
    sys.argv[:] = json.load(sys.stdin)
    runpy.run_path(sys.argv[0], run_name="__main__")


def join_processes(argv: list[str]) -> tuple[Parallel, list[str]]:
    """This process among those of `run_processes`, and the arguments of the script.

    Args:
        argv: `sys.argv` of the script.
    """
    rank, size, port = map(int, argv[1:4])
    store = dist.TCPStore("127.0.0.1", port, is_master=False)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    return Parallel(rank=rank, size=size), argv[4:]


def run_threads(functions: Sequence[Callable[[Parallel], object]], timeout: float = 60.0) -> None:
    """Call functions at once, each in its own thread with the `Parallel` of a process; sums work, nothing else.

    Raises:
        BrokenBarrierError: not all of them called `Parallel.sum_` equally often within `timeout` s.
    """
    meeting = threading.Barrier(len(functions), timeout=timeout)
    shared: list[Sequence[Tensor]] = [()] * len(functions)
    places = [
        _InThread(rank=rank, size=len(functions), meeting=meeting, shared=shared)
        for rank in range(len(functions))
    ]
    with ThreadPoolExecutor(len(functions)) as pool:
        for done in [pool.submit(function, place) for function, place in zip(functions, places)]:
            done.result()


@attrs.frozen(kw_only=True, eq=False)
class _InThread(Parallel):
    meeting: threading.Barrier
    shared: list[Sequence[Tensor]]  # what each thread sums

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """See `Parallel.sum_`."""
        self.shared[self.rank] = [tensor.detach().clone() for tensor in tensors]
        self.meeting.wait()
        for parts, tensor in zip(zip(*self.shared, strict=True), tensors, strict=True):
            tensor.detach().copy_(sum(parts[1:], parts[0]))
        self.meeting.wait()


if __name__ == "__main__":
    main()
