"""Turns one published motion-terrain pickle into plain arrays. Run as a program in a child process, never imported.

This is the only file of PARC that imports `pickle`, and only its main program unpickles. The parent
(`parc_data.parc_ms`) starts it with an empty environment, feeds it the file on standard input and reads an `.npz`
without objects, or one line that says what is wrong, from standard output. The process limits its own memory, time
and files first, and its unpickler knows nothing but NumPy's array constructors, so the worst that a hostile file
gets is a child that ends.

Usage: ``python -I unpickle_child.py MEMORY_BYTES CPU_SECONDS < motion.pkl``
"""

from __future__ import annotations

import io
import json
import pickle
import resource
import sys
import zipfile
import zlib  # noqa: F401 - loaded now: no file can be opened later
from typing import Any

import numpy as np

# what importing lazily would open files for
_ARRAY_CODE = np.zeros(1).__reduce__()[0]
_SCALAR_CODE = np.float32(0).__reduce__()[0]
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")

_MOTION = ("root_pos", "root_rot", "joint_rot", "body_contacts")
_TERRAIN = ("hf", "hf_maxmin", "min_point")
_MAX_OPEN_FILES = 16

# what a damaged or hostile pickle makes the unpickler raise
_UNREADABLE = (
    pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, MemoryError, OverflowError,
    RecursionError, SystemError, TypeError, ValueError,
)  # fmt: skip


class Refused(Exception):
    """The file does not hold what a motion-terrain file holds; the text is fit for a user."""


def _encode_latin1(text: str, encoding: str) -> bytes:
    # protocols 0 to 2 spell bytes as _codecs.encode(text, "latin1")
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("it calls _codecs.encode with something else than text and 'latin1'")
    return text.encode("latin1")


_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode_latin1,
    **{(module, "_reconstruct"): _ARRAY_CODE for module in _ARRAY_MODULES},
    **{(module, "scalar"): _SCALAR_CODE for module in _ARRAY_MODULES},
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise Refused(f"it refers to '{module}.{name}'; only NumPy arrays are read") from None

    def persistent_load(self, pid: object) -> Any:
        raise Refused("it refers to objects outside the file")


def main(memory: int, cpu_s: int) -> int:
    """Read standard input, write the answer; the exit status is 0 when it is an archive."""
    _limit(memory, cpu_s)
    try:
        data = sys.stdin.buffer.read()
        arrays, header = _plain(_unpickle(data, "the file"))
        answer = _archive(arrays, header)
    except Refused as err:
        print(str(err).replace("\n", " ")[:500])
        return 1
    except MemoryError:
        print(f"it needs more than the {memory / 2**20:.0f} MiB of memory that reading may take")
        return 1
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
    return 0


def _limit(memory: int, cpu_s: int) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _unpickle(data: bytes, what: str) -> Any:
    try:
        return _ArraysOnly(io.BytesIO(data)).load()
    except MemoryError:
        raise
    except _UNREADABLE as err:
        detail = str(err) or type(err).__name__
        raise Refused(f"{what} is not a readable pickle ({detail[:200]})") from err


def _plain(outer: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    if not isinstance(outer, dict) or "motion_data" not in outer:
        keys = ", ".join(sorted(map(str, outer))[:8]) if isinstance(outer, dict) else type(outer).__name__
        raise Refused(
            f"the outer pickle holds {keys}, expected a dict with motion_data, terrain_data, misc_data"
        )
    motion = _section(outer, "motion_data")
    if motion is None:
        raise Refused("motion_data is empty")
    header: dict[str, Any] = {"warnings": []}
    header["fps"] = _number(motion, "fps", "motion_data")
    header["loop_mode"] = str(motion.get("loop_mode", "CLAMP"))
    arrays = _arrays(motion, _MOTION, "motion_data", optional=("body_contacts",))
    terrain = _section(outer, "terrain_data")
    if terrain is not None:
        header["dx"] = _number(terrain, "dx", "terrain_data")
        arrays |= _arrays(terrain, _TERRAIN, "terrain_data", optional=("hf_maxmin",))
    try:
        arrays |= _misc(_section(outer, "misc_data") or {})
    except Refused as err:  # free-form extras (torch tensors, cameras) that the motion does not need
        header["warnings"].append(f"misc_data is left out: {err}")
    return arrays, header


def _section(outer: dict[Any, Any], name: str) -> dict[Any, Any] | None:
    data = outer.get(name)
    if data is None:
        return None
    if isinstance(data, bytes | bytearray):
        data = _unpickle(bytes(data), name)
    if data is not None and not isinstance(data, dict):
        raise Refused(f"{name} holds a {type(data).__name__}, expected a dict")
    return data


def _misc(misc: dict[Any, Any]) -> dict[str, np.ndarray]:
    arrays = _arrays(misc, ("path_nodes",), "misc_data", optional=("path_nodes",))
    inds = misc.get("hf_mask_inds")
    if inds is not None:
        if not isinstance(inds, list | tuple):
            raise Refused(
                f"hf_mask_inds is a {type(inds).__name__}, expected a list with one array per frame"
            )
        frames = [_array(ind, f"hf_mask_inds[{i}]").reshape(-1, 2) for i, ind in enumerate(inds)]
        rows = [np.column_stack([np.full(len(ind), i), ind]) for i, ind in enumerate(frames)]
        arrays["touched"] = np.concatenate(rows).astype(np.int64) if rows else np.zeros((0, 3), np.int64)
    return arrays


def _arrays(
    section: dict[Any, Any], names: tuple[str, ...], what: str, optional: tuple[str, ...]
) -> dict[str, np.ndarray]:
    found = {}
    for name in names:
        if section.get(name) is not None:
            found[name] = _array(section[name], f"{what}.{name}")
        elif name not in optional:
            raise Refused(f"{what} has no '{name}'")
    return found


def _array(value: Any, what: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as err:
        raise Refused(f"{what} is no regular array ({err})") from err
    if array.dtype.kind not in "fiub":
        raise Refused(f"{what} holds {array.dtype}, expected plain numbers")
    return array


def _number(section: dict[Any, Any], name: str, what: str) -> float:
    value = _array(section.get(name), f"{what}.{name}").ravel()
    if value.size not in (1, 2) or not np.isfinite(value).all() or (value != value[0]).any():
        raise Refused(f"{what}.{name} is {value.tolist()[:4]}, expected one number")
    return float(value[0])


def _archive(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> bytes:
    text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in {"header": text, **arrays}.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(f"{name}.npy", member.getvalue())
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
