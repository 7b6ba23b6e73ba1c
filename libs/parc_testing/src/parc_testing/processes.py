"""Tests of data-parallel training: a script in several processes on this machine, or threads in their place."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import attrs
import torch.distributed as dist
from torch import Tensor

from parc_core.interfaces import Parallel

__all__ = ["join_processes", "run_processes", "run_threads"]


def run_processes(script: str | pathlib.Path, count: int, *arguments: object, timeout: float = 120.0) -> None:
    """Run a script in `count` processes at once; each calls `join_processes` with its command line.

    Args:
        arguments: of the script; they follow three of `join_processes`.
        timeout: for all of them, s.

    Raises:
        AssertionError: a process failed; the text is what all of them printed.
    """
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    words = [
        [sys.executable, str(script), str(rank), str(count), str(store.port), *map(str, arguments)]
        for rank in range(count)
    ]
    started = [
        subprocess.Popen(one, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for one in words
    ]
    try:
        printed = [process.communicate(timeout=timeout)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert not any(process.returncode for process in started), "\n".join(printed)


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
