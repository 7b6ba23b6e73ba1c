"""Reads of hostile files in a process that watches itself: how each ended, what it took, and what it tried to do.

Only Python's library is imported here, so that the file can also be run where no package is within reach.
"""

from __future__ import annotations

import json
import os
import pathlib
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["MAX_CPU_S", "MAX_MEMORY_MB", "Watched", "faults", "figure", "watched", "watched_each"]

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
    (one,) = watched_each({"": read}, refusal=refusal, inside=inside, allowed=allowed).values()
    return one


def watched_each(
    reads: Mapping[str, Callable[[], object]],
    *,
    refusal: type[BaseException],
    inside: pathlib.Path | None = None,
    allowed: Callable[[str, tuple[Any, ...]], bool] = lambda event, args: False,
) -> dict[str, Watched]:
    """As `watched`, one read after the other in one process; after a read that ends it, another takes over.

    The growth of memory counts from the start of the process, so that what earlier reads left adds to it.
    """
    found: dict[str, Watched] = {}
    while len(found) < len(reads):
        waiting = {name: read for name, read in reads.items() if name not in found}
        receive, send = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(receive)
            _child(list(waiting.values()), refusal, inside, allowed, send)
        os.close(send)
        with os.fdopen(receive, "rb") as stream:
            lines = stream.read().splitlines()
        _, status, usage = os.wait4(child, 0)
        start_kb, told = (int(lines[0]), lines[1:]) if lines else (0, [])
        found.update(zip(waiting, (Watched(*json.loads(line)) for line in told)))
        if len(told) < len(waiting):
            memory_mb, cpu_s = (usage.ru_maxrss - start_kb) / 1024, usage.ru_utime + usage.ru_stime
            found[list(waiting)[len(told)]] = Watched("died", f"wait status {status}", memory_mb, cpu_s, [])
    return found


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
    reads: Sequence[Callable[[], object]],
    refusal: type[BaseException],
    inside: pathlib.Path | None,
    allowed: Callable[[str, tuple[Any, ...]], bool],
    send: int,
) -> None:
    deeds: list[str] = []
    try:
        sys.dont_write_bytecode = True
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(null, stream)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open("/proc/self/statm", encoding="ascii") as sizes:
            room = int(sizes.read().split()[0]) * resource.getpagesize() + _ROOM_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        reset = os.open("/proc/self/clear_refs", os.O_WRONLY)
        start_kb = _peak_kb()
        os.write(send, b"%d\n" % start_kb)
        sys.addaudithook(lambda event, args: _audit(deeds, event, args, inside, allowed))
        for read in reads:
            signal.alarm(_WALL_S)
            os.write(reset, b"5")  # the peak begins at what the process has now
            deeds.clear()
            started = _cpu_s()
            ending, text = _carried_out(read, refusal)
            one = (ending, text[:2000], (_peak_kb() - start_kb) / 1024, _cpu_s() - started, deeds[:20])
            told = json.dumps(one).encode() + b"\n"
            while told:
                told = told[os.write(send, told) :]
    finally:
        os._exit(0)


def _carried_out(read: Callable[[], object], refusal: type[BaseException]) -> tuple[str, str]:
    try:
        read()
    except refusal as err:
        return "refused", str(err)
    except BaseException as err:  # whatever comes is told to the test
        return "raised", f"{type(err).__name__}: {err}"
    return "read", ""


def _peak_kb() -> int:
    """Peak of resident memory, of this process or of the largest that it started."""
    with open("/proc/self/status", encoding="ascii") as stream:
        own = next(int(line.split()[1]) for line in stream if line.startswith("VmHWM"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


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
