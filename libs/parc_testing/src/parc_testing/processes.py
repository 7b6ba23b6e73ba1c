"""Tests of data-parallel training: a script in several processes on this machine, and their way to each other."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import torch.distributed as dist

from parc_core.interfaces import Parallel

__all__ = ["join_processes", "run_processes"]


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
