"""What runs on the nodes.

Ray carries this module there by value, so that a node whose PARC packages are missing or of another version can say so.
It therefore imports the standard library alone; the rest is imported where it is used.

The job itself runs as ``parc job run`` in a process of its own: a crash of native code there does not end Ray's worker,
and what the job holds (GPU memory, threads) is given back when it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["Board", "carry_out"]

_TICK_S = 0.5  # between looks at the clock, and at least between two messages to the board
_ASK_S = 1.0  # between questions to the board whether to stop
_SILENT_S = 60.0  # a process that gives no sign of life for so long hangs; it gives one every two seconds
_SHOWN = 400  # characters of what a dead process wrote last

Line = tuple[str, Any]  # kind and value, as `parc job run --json-lines` writes them, or ("begun", host)


class Board:
    """An actor between jobs and the process of the run: lines go one way, the wish to stop goes the other."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, list[Line]]] = []
        self.stop = False

    def tell(self, index: int, lines: list[Line]) -> bool:
        """Leave lines of a job; returns whether it is to stop."""
        self.lines.append((index, lines))
        return self.stop

    def read(self, stop: bool) -> list[tuple[int, list[Line]]]:
        """Lines of jobs since the last call: (index of the job, lines) each.

        Args:
            stop: whether jobs are to stop.
        """
        self.stop = stop
        lines, self.lines = self.lines, []
        return lines


def carry_out(order: dict[str, Any], packed: bytes | None, board: Any) -> dict[str, Any]:
    """Carry out a job on this node; a Ray task.

    Args:
        order: job (plain), index, token (of the call), version, threads, cwd, stall_timeout_s, last (no try follows).
        packed: the exported job, or None if the node sees the run folder.
        board: handle of the `Board`.

    Returns:
        ``lines`` that the board does not have yet, and either ``result`` (plain `JobResult`; with it ``packed``, the
        result of an exported job that finished) or ``died``, why the process of the job ended.
    """
    wrong = _wrong_version(order["version"])
    if wrong:
        return {"lines": [], "result": {"state": "failed", "error": wrong, "exit_code": 2}}
    from parc_motion.storage import make_folder, remove, write_bytes

    link = _Link(board, order["index"])
    link.pass_on([("begun", socket.gethostname())])
    # another try on this node finds the folder of the first one, and an exported job continues there
    folder = make_folder(pathlib.Path(tempfile.gettempdir()) / f"parc-ray-{order['token']}-{order['index']}")
    file = folder / ("job.json" if packed is None else "job.zip")
    write_bytes(file, json.dumps(order["job"]).encode() if packed is None else packed)
    ended: dict[str, Any] = {}
    try:
        ended = _Process(file, order).follow(link)
        if packed is not None and ended.get("result", {}).get("state") == "finished":
            ended["packed"] = (folder / "job.result.zip").read_bytes()
    finally:
        if "died" not in ended or order["last"]:
            remove(folder)
    return {"lines": link.waiting, **ended}


def _wrong_version(expected: str) -> str:
    host = socket.gethostname()
    try:
        import parc_core
    except ImportError as err:
        return (
            f"Ray node {host}: {sys.executable} cannot import PARC ({err}). Install the packages of this run "
            f"there, parc-core {expected} among them."
        )
    if parc_core.__version__ != expected:
        return (
            f"Ray node {host}: it has parc-core {parc_core.__version__}, this run has {expected}. Install the same "
            "version on both."
        )
    return ""


class _Link:
    """Passes lines on to the board without waiting for it: Ray would give the CPUs of a waiting task to others."""

    def __init__(self, board: Any, index: int) -> None:
        self.board, self.index = board, index
        self.waiting: list[Line] = []
        self.stop = False
        self._answer: Any = None
        self._asked = float("-inf")

    def pass_on(self, lines: Iterable[Line]) -> None:
        """Take lines, send them when it is time, and note whether to stop."""
        for line in lines:
            if line[0] == "update" and self.waiting and self.waiting[-1][0] == "update":
                self.waiting.pop()  # of several in a row the last one says all
            self.waiting.append(line)
        if self._answer is not None:
            if not self._answer.done():
                return
            with contextlib.suppress(Exception):  # the board is being started again on another node
                self.stop = self._answer.result()
            self._answer = None
        now = time.monotonic()
        if now - self._asked >= (_TICK_S if self.waiting else _ASK_S):
            self._asked = now
            self._answer = self.board.tell.remote(self.index, self.waiting).future()
            self.waiting = []


class _Process:
    """The process of a job."""

    def __init__(self, file: pathlib.Path, order: dict[str, Any]) -> None:
        command = [sys.executable, "-m", "parc_core.cli.main", "job", "run", str(file), "--json-lines"]
        self.process = subprocess.Popen(
            [*command, "--threads", str(order["threads"])],
            stdin=subprocess.PIPE,  # it ends when this closes, and so when Ray's worker is killed
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=order["cwd"] if os.path.isdir(order["cwd"]) else None,
            start_new_session=True,
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        self.out, self.err = self.process.stdout, self.process.stderr
        self.stall_timeout_s: float = order["stall_timeout_s"]
        self.result: dict[str, Any] | None = None
        self._text, self._errors, self._ended = b"", b"", False
        self._heard = self._moved = time.monotonic()

    def follow(self, link: _Link) -> dict[str, Any]:
        """Pass its lines on until it ends: ``{"result": ...}`` or ``{"died": reason}``."""
        told, reason = False, ""
        try:
            with selectors.DefaultSelector() as selector:
                for stream in (self.out, self.err):
                    os.set_blocking(stream.fileno(), False)
                    selector.register(stream, selectors.EVENT_READ)
                while self.result is None and not reason and not self._ended:
                    selector.select(_TICK_S)
                    link.pass_on(self._read())
                    if link.stop and not told:
                        told = True
                        self.process.send_signal(signal.SIGTERM)
                    reason = self._hangs()
        finally:
            self._end(kill=self.result is None)
        if self.result is None:
            return {"died": reason or self._how_it_ended()}
        if self.result["state"] == "lost":  # out of memory
            return {"died": self.result["error"]}
        return {"result": self.result}

    def _read(self) -> Iterator[Line]:
        errors, chunk = self.err.read(), self.out.read()
        self._errors = (self._errors + (errors or b""))[-_SHOWN:]
        self._ended = chunk == b""
        *lines, self._text = (self._text + (chunk or b"")).split(b"\n")
        for line in lines:
            self._heard = time.monotonic()
            for kind, value in json.loads(line).items():
                if kind != "alive":
                    self._moved = self._heard
                if kind == "result":
                    self.result = value
                elif kind != "alive":
                    yield kind, value

    def _hangs(self) -> str:
        now = time.monotonic()
        if now - self._heard > _SILENT_S:
            return f"it gave no sign of life for {_SILENT_S:.0f} s"
        if now - self._moved > self.stall_timeout_s:
            return f"it made no progress for {self.stall_timeout_s:g} s (executor.stall_timeout_s)"
        return ""

    def _how_it_ended(self) -> str:
        code = self.process.returncode
        how = f"exit code {code}" if code >= 0 else f"signal {-code} ({signal.Signals(-code).name})"
        last = self._errors.decode(errors="replace").strip()
        return f"{how}{', after writing: ' + last if last else ''}"

    def _end(self, kill: bool) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=0 if kill and self.process.poll() is None else 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for stream in (self.out, self.err):
            stream.close()
