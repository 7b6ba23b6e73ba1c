"""Restricted reader of pickles: plain values and NumPy arrays, unpickled in a limited child process.

Nothing is unpickled here. `unpickle_child` does it in a separate process without environment variables, site packages
or NumPy, within limits on memory, time, files and children, and returns text and raw bytes, which this module converts
back to values.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import threading
from typing import Any

import attrs
import numpy as np

import parc_data
from parc_motion.errors import DataError
from parc_motion.storage import open_file

__all__ = ["MAX_PICKLE_BYTES", "Unreadable", "read_pickle_tree"]

MAX_PICKLE_BYTES = 256 << 20
_CHILD = pathlib.Path(parc_data.__file__).with_name("unpickle_child.py")
_MAX_ANSWER_BYTES = 640 << 20
_MEMORY_BYTES = 1 << 30  # at most; a small file gets less
_LEAST_MEMORY_BYTES = 288 << 20
_MEMORY_A_BYTE = 8
_CPU_S = 1  # enough for a small file; larger ones get more
_BYTES_A_CPU_S = 6 << 20
_WALL_S = 4.0  # per second of CPU time that a child may take: allows for a busy machine
_DTYPE = re.compile(r"[<>](?:b1|[iu][1248]|f[248])")
_TEXT_NUMBERS = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}


@attrs.frozen
class Unreadable:
    """Takes the place of a section that is refused; the rest of its file can be read."""

    reason: str


def read_pickle_tree(path: pathlib.Path, sections: tuple[str, ...] = ()) -> Any:
    """What a pickle holds: nested dict, list and tuple of plain numbers, text, bool, None and NumPy arrays.

    A `.npy` file that holds one pickled object is read, too. Arrays of text become lists, NumPy's scalars numbers.
    Bytes that are pickles themselves are refused, unless `sections` names their key.

    Args:
        sections: keys of the outermost dict whose values are pickled once more; no further level is read. A section
            that is refused comes as `Unreadable`.

    Raises:
        DataError: the file is not such a pickle, too large, damaged or hostile; the text says which.
    """
    answer, status = _run_child(path, sections)
    if len(answer) > _MAX_ANSWER_BYTES:
        cause = f"it unpacks to more than {_MAX_ANSWER_BYTES / 1e6:.0f} MB"
    elif status == 0:
        try:
            return _decode(answer)
        except (ValueError, TypeError, KeyError, IndexError, RecursionError) as err:
            cause = f"the reading process returned an unusable answer ({err})"
    elif status < 0:
        cause = f"reading it was stopped (signal {-status}): it takes too long, or is made to crash readers"
    else:
        lines = answer[:2000].decode(errors="replace").strip().splitlines()
        cause = lines[-1] if lines else f"the reading process ended with status {status}"
    raise DataError(
        f"{path}: refused: {cause}. Nothing was executed. Save the motion as plain values and NumPy arrays."
    )


def _run_child(path: pathlib.Path, sections: tuple[str, ...]) -> tuple[bytes, int]:
    options = ["-I", "-S", "-B", "-W", "ignore"]
    with open_file(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > MAX_PICKLE_BYTES:
            raise DataError(
                f"{path}: {size / 1e6:.0f} MB; pickles up to {MAX_PICKLE_BYTES / 1e6:.0f} MB are read."
            )
        cpu_s = _CPU_S + size // _BYTES_A_CPU_S
        memory = min(_MEMORY_BYTES, _LEAST_MEMORY_BYTES + _MEMORY_A_BYTE * size)
        command = [sys.executable, *options, str(_CHILD), str(memory), str(cpu_s), *sections]
        child = subprocess.Popen(
            command, stdin=stream, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={}, cwd="/"
        )
    timer = threading.Timer(_WALL_S * cpu_s, child.kill)
    timer.start()
    try:
        assert child.stdout is not None  # a pipe was asked for
        with child.stdout:
            answer = child.stdout.read(_MAX_ANSWER_BYTES + 1)
            if len(answer) > _MAX_ANSWER_BYTES:
                child.kill()
            return answer, child.wait()
    finally:
        timer.cancel()


def _decode(answer: bytes) -> Any:
    line, found, _ = answer.partition(b"\n")
    if not found:
        raise ValueError("it is cut off")
    return _value(json.loads(line), memoryview(answer)[len(line) + 1 :])


def _value(spelled: Any, blob: memoryview) -> Any:
    if not isinstance(spelled, dict):
        return spelled
    ((kind, value),) = spelled.items()
    if kind == "dict":
        return {key: _value(item, blob) for key, item in value}
    if kind == "list":
        return [_value(item, blob) for item in value]
    if kind == "tuple":
        return tuple(_value(item, blob) for item in value)
    if kind == "array":
        dtype, shape, order, start, size = value
        return _array(dtype, blob[start : start + size]).reshape(shape, order=order)
    if kind == "packed":
        dtype, length, start, sequence = value
        numbers = _array(dtype, blob[start : start + 8 * length]).tolist()
        return tuple(numbers) if sequence == "tuple" else numbers
    if kind == "float":
        return _TEXT_NUMBERS[value]
    if kind == "refused":
        return Unreadable(value)
    raise ValueError(f"it holds a '{kind}'")


def _array(dtype: str, raw: memoryview) -> np.ndarray:
    if not _DTYPE.fullmatch(dtype):
        raise ValueError(f"it holds the type '{dtype}'")
    if dtype[1:] == "b1":
        return np.frombuffer(raw, dtype=np.uint8) != 0
    native = np.dtype(dtype).newbyteorder("=")
    return np.frombuffer(raw, dtype=dtype).astype(native)
