"""Child processes that have imported everything when they begin: a server that has done so forks them.

A new interpreter spends seconds on importing PyTorch, in every child anew. Forking the run's own process would be
unsafe: it has threads, and perhaps a GPU. The server has neither: it imports, forks, and says how its children have
ended. It ends with the process that started it.

Where processes cannot be forked safely, on macOS and Windows and for work on a GPU, a child is a new interpreter.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

__all__ = ["Child", "start_child", "warm_up"]

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 0.01  # at whether a child has ended
_LONGEST = 1 << 20  # bytes of a message
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Child(Protocol):
    """A child process, leader of its own session; `subprocess.Popen` is one."""

    pid: int
    returncode: int | None  # negative: the number of the signal that ended it

    def poll(self) -> int | None:
        """The return code, or None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """The return code, as soon as it has ended; raises `subprocess.TimeoutExpired`."""

    def kill(self) -> None:
        """End it."""


def warm_up(modules: Sequence[str]) -> None:
    """Begin to import what children will need; returns at once.

    Args:
        modules: their names; one that cannot be imported is left to the child that needs it.
    """
    server = _running()
    if server is not None:
        server.send({"import": list(modules)})


def start_child(
    module: str, *, stdin: int, stdout: int, stderr: int, device: str = "cpu", modules: Sequence[str] = ()
) -> Child:
    """Run ``main()`` of a module in a child process, which has this one's environment and folder.

    Args:
        stdin: file descriptor; likewise `stdout` and `stderr`.
        device: that the child works on.
        modules: to import first; all its siblings profit.
    """
    server = _running() if device == "cpu" else None
    child = None
    if server is not None:
        server.send({"import": list(modules)})
        child = server.fork(module, (stdin, stdout, stderr))
    if child is not None:
        return child
    return subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,  # Ctrl-C in a terminal is for this process, which tells its children
    )


class _Server:
    """The server, as seen by the process that has started it."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self.owner = os.getpid()
        self.codes: dict[int, int] = {}  # pid of a child that has ended -> return code
        self.lock = threading.Lock()
        self.gone = False

    def send(self, order: dict[str, Any], files: Sequence[int] = ()) -> None:
        """Send an order, and file descriptors with it."""
        try:
            socket.send_fds(self.control, [json.dumps(order).encode()], files)
        except OSError as err:
            log.warning("The fork server cannot be reached: %s.", err)
            self.gone = True

    def fork(self, module: str, files: tuple[int, int, int]) -> Child | None:
        """A child; None if the server cannot fork safely or has ended."""
        with self.lock:
            self.send(
                {"main": module, "environ": dict(os.environ), "folder": os.getcwd(), "path": sys.path}, files
            )
            answer: dict[str, Any] = {}
            while not answer.keys() & {"pid", "threads"} and not self.gone:
                answer = self._receive(0)
        if "threads" in answer:
            log.debug("A plugin has started %d threads: no fork, a new interpreter.", answer["threads"] - 1)
        return _Forked(self, answer["pid"]) if "pid" in answer else None

    def code(self, pid: int) -> int | None:
        """The return code of a child; None while it runs."""
        with self.lock:
            while pid not in self.codes and not self.gone and self._receive(socket.MSG_DONTWAIT):
                pass
            if pid not in self.codes and self.gone and not _runs(pid):
                # nobody knows its code; what ended the server has probably ended it too
                self.codes[pid] = -signal.SIGKILL
            return self.codes.get(pid)

    def end(self) -> None:
        """End the server; its children end as their inputs end."""
        if self.owner == os.getpid():
            self.control.close()
            self.process.kill()  # it may be importing, which takes seconds; it has nothing to lose
            self.process.wait()

    def _receive(self, flags: int) -> dict[str, Any]:
        """One message; empty if there is none."""
        try:
            text = self.control.recv(_LONGEST, flags)
        except BlockingIOError:
            return {}
        except OSError:
            text = b""
        if not text:
            log.warning("The fork server has ended with code %s; a new one is started.", self.process.poll())
            self.gone = True
            return {}
        message: dict[str, Any] = json.loads(text)
        if "ended" in message:
            self.codes[message["ended"]] = message["code"]
        return message


class _Forked:
    """A child of the server; see `Child`."""

    def __init__(self, server: _Server, pid: int) -> None:
        self.server, self.pid = server, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The return code, or None while it runs."""
        if self.returncode is None:
            self.returncode = self.server.code(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The return code, as soon as it has ended; raises `subprocess.TimeoutExpired`."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            time.sleep(_LOOK_AGAIN_S)
        return code

    def kill(self) -> None:
        """End it."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def _runs(pid: int) -> bool:
    """Whether a process, which need not be a child of this one, has not ended yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


_server: _Server | None = None


def _running() -> _Server | None:
    """The server of this process, started if need be; None where processes cannot be forked."""
    global _server
    if sys.platform != "linux":
        return None
    if _server is None or _server.gone or _server.owner != os.getpid():
        _server = _Server()
        atexit.register(_server.end)
    return _server


def main() -> None:
    """Import and fork, as the control socket says, until the other end is closed."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for ignored in _SIGNALS:  # a scheduler may send one to every process; this one ends with the run
        signal.signal(ignored, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = (
        "1"  # NumPy would start threads as it is imported; jobs set those of PyTorch
    )
    children: dict[int, int] = {}  # descriptor of a child's process -> its pid
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fd != control.fileno():
                selector.unregister(key.fd)
                os.close(key.fd)
                pid, status = os.waitpid(children.pop(key.fd), 0)
                _tell(control, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})
                continue
            text, files, _, _ = socket.recv_fds(control, _LONGEST, 3)
            if not text:
                os._exit(0)
            order = json.loads(text)
            for module in order.get("import", ()):
                _import(module)
            if "main" not in order:
                continue
            threads = len(os.listdir("/proc/self/task"))
            if threads == 1:
                gc.freeze()  # children share what lies in memory, as long as nobody writes there
                pid = os.fork()
                if pid == 0:
                    for open_file in (control.detach(), selector.fileno(), *children):
                        os.close(open_file)
                    _become(order, files)
                process = os.pidfd_open(pid)
                children[process] = pid
                selector.register(process, selectors.EVENT_READ)
            for file in files:
                os.close(file)
            _tell(control, {"pid": pid} if threads == 1 else {"threads": threads})


def _import(module: str) -> None:
    with contextlib.suppress(Exception):  # whoever needs the module tells what is wrong with it
        importlib.import_module(module)


def _tell(control: socket.socket, message: dict[str, Any]) -> None:
    try:
        control.send(json.dumps(message).encode())
    except OSError:
        os._exit(0)


def _become(order: dict[str, Any], files: Sequence[int]) -> NoReturn:
    """The child's whole life."""
    code = 1
    try:
        os.setsid()
        for ignored in _SIGNALS:
            signal.signal(ignored, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(order["environ"])
        os.chdir(order["folder"])
        sys.path[:] = order["path"]
        sys.argv[:] = [order["main"]]
        importlib.import_module(order["main"]).main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # the top of a process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
