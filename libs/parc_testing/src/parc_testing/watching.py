"""Reads of hostile files, each in a process of its own: how it ended, what it took, and what it tried to do.

Only Python's library is imported here, so that the file can also be run where no package is within reach.
"""

from __future__ import annotations

import json
import os
import pathlib
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["MAX_CPU_S", "MAX_MEMORY_MB", "Watched", "faults", "figure", "watched"]

MAX_CPU_S = 5.0  # of one read
MAX_MEMORY_MB = 300.0  # of one read, beyond what the process had
_WALL_S = 60
_ROOM_BYTES = 4 << 30  # address space beyond what the process has: a bomb ends its process, not the machine
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# events of `sys.audit` that no reader of data has a reason for
_DEEDS = {
    "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn",
    "os.startfile", "socket.connect", "socket.bind", "socket.sendto", "ctypes.dlopen", "pickle.find_class",
    "os.chown", "os.symlink", "os.putenv", "os.kill", "shutil.move", "webbrowser.open", "urllib.Request",
}  # fmt: skip
# events that change files: places of the paths among their arguments, and of the descriptors of their folders
_CHANGES = {
    "os.remove": {0: 1}, "os.rmdir": {0: 1}, "os.mkdir": {0: 2}, "os.chmod": {0: 2}, "os.rename": {0: 2, 1: 3},
    "os.link": {1: 3}, "os.truncate": {0: 1}, "shutil.rmtree": {0: 1}, "shutil.copyfile": {1: 2},
}  # fmt: skip


class Watched(NamedTuple):
    """One read."""

    ending: str  # "read", "refused", "raised" (another exception) or "died"
    text: str  # of the error
    memory_mb: float  # growth of the peak of resident memory, children included
    cpu_s: float  # children included
    deeds: list[str]  # what it tried beyond reading


def watched(
    read: Callable[[], object],
    *,
    refusal: type[BaseException],
    inside: pathlib.Path | None = None,
    allowed: Callable[[str, tuple[Any, ...]], bool] = lambda event, args: False,
) -> Watched:
    """Carry out `read` in a forked process that audits itself.

    Args:
        refusal: the error by which a reader refuses a file; any other is a fault.
        inside: folder in which files may be written and removed.
        allowed: whether an event of `sys.audit` with these arguments is meant.
    """
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        _child(read, refusal, inside, allowed, send)
    os.close(send)
    with os.fdopen(receive, "rb") as stream:
        answer = stream.read()
    _, status, usage = os.wait4(child, 0)
    start, _, told = answer.partition(b"\n")
    memory_mb = (usage.ru_maxrss - int(start or 0)) / 1024
    cpu_s = usage.ru_utime + usage.ru_stime
    if not told:
        return Watched("died", f"wait status {status}", memory_mb, cpu_s, [])
    ending, text, deeds = json.loads(told)
    return Watched(ending, text, memory_mb, cpu_s, deeds)


def faults(found: Mapping[str, Watched], must_refuse: Callable[[str], bool] = lambda name: True) -> list[str]:
    """What is wrong with these reads; nothing if each ended in time, was refused where it has to be, and did no more.

    Args:
        must_refuse: whether the file of a name has to be refused; otherwise it may also be read.
    """
    return [
        f"{name}: {one}"
        for name, one in found.items()
        if one.ending not in ("read", "refused")
        or (one.ending == "read" and must_refuse(name))
        or one.deeds
        or one.memory_mb > MAX_MEMORY_MB
        or one.cpu_s > MAX_CPU_S
    ]


def figure(found: Mapping[str, Watched]) -> str:
    """The row of the table of what was measured."""
    good = sum(one.ending in ("read", "refused") for one in found.values())
    did = sum(bool(one.deeds) for one in found.values())
    return (
        f"{good} of {len(found)} refused or read; at most {max(one.memory_mb for one in found.values()):.0f} MB, "
        f"{max(one.cpu_s for one in found.values()):.2f} s CPU; "
        + (f"{did} executed or wrote something" if did else "nothing executed or written outside")
    )


def _child(
    read: Callable[[], object],
    refusal: type[BaseException],
    inside: pathlib.Path | None,
    allowed: Callable[[str, tuple[Any, ...]], bool],
    send: int,
) -> None:
    deeds: list[str] = []
    ending, text = "raised", ""
    try:
        sys.dont_write_bytecode = True
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_WALL_S)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(null, stream)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open("/proc/self/statm", encoding="ascii") as sizes:
            room = int(sizes.read().split()[0]) * resource.getpagesize() + _ROOM_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        os.write(send, b"%d\n" % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        sys.addaudithook(lambda event, args: _audit(deeds, event, args, inside, allowed))
        try:
            read()
            ending = "read"
        except refusal as err:
            ending, text = "refused", str(err)
        except BaseException as err:  # whatever comes is told to the test
            text = f"{type(err).__name__}: {err}"
        told = json.dumps([ending, text[:2000], deeds[:20]]).encode()
        while told:
            told = told[os.write(send, told) :]
    finally:
        os._exit(0)


def _audit(
    deeds: list[str],
    event: str,
    args: tuple[Any, ...],
    inside: pathlib.Path | None,
    allowed: Callable[[str, tuple[Any, ...]], bool],
) -> None:
    if event == "open":
        suspicious = bool(args[2] and args[2] & _WRITING) and not _lies_in(args[0], inside)
    elif event in _CHANGES:
        suspicious = not all(
            _lies_in(args[path], inside, args[folder] if folder < len(args) else None)
            for path, folder in _CHANGES[event].items()
        )
    else:
        suspicious = event in _DEEDS
    if suspicious and not allowed(event, args):
        deeds.append(f"{event} {args!r:.200}")


def _lies_in(path: object, folder: pathlib.Path | None, descriptor: object = None) -> bool:
    """Whether a path, relative to an open folder where one is given, leads into the folder."""
    if folder is None or not isinstance(path, str | bytes | os.PathLike):
        return False
    where = os.fsdecode(path)
    if isinstance(descriptor, int) and descriptor >= 0:
        where = os.path.join(f"/proc/self/fd/{descriptor}", where)
    return pathlib.Path(os.path.realpath(where)).is_relative_to(os.path.realpath(folder))
