"""Converts a pickle of plain values and NumPy arrays to text and raw bytes. Run as a program in a child process only.

This is the only file of PARC that imports `pickle`, and only its main program unpickles; it can import nothing of
PARC, so everything that it needs is here. The parent (`parc_data.formats.pickles`) starts it with an empty environment,
feeds it the file on standard input and reads the answer, or one line that states the error, from standard output. The
process limits its own memory, time, files and children first.

What a pickle can call here are stand-ins made for it (`_TOKENS`), which check their arguments and store plain data:
no class, no function of Python's library and no code of NumPy is within its reach, and no stand-in can be changed.
The worst that a hostile file can cause is that the child ends.

The answer is one line of JSON, then the bytes of all arrays. Values are: null, true, false, text, numbers as they are;
``{"float": "nan"}`` for what JSON lacks; ``{"dict": [[key, value], ...]}``, ``{"list": [...]}``, ``{"tuple": [...]}``;
``{"array": [dtype, shape, order, first byte, bytes]}``; ``{"packed": [dtype, length, first byte, "list" or "tuple"]}``
for sequences of equal numbers; ``{"refused": why}`` for a section that cannot be read.

Usage: ``python -I -S unpickle_child.py MEMORY_BYTES CPU_SECONDS [SECTION ...] < file``
Sections are keys of the outermost dict whose values are pickled separately, as in the published motion files.
"""

from __future__ import annotations

import array
import io
import json
import math
import pickle
import re
import resource
import struct
import sys
from collections.abc import Callable
from typing import Any

_MAX_OPEN_FILES = 16
_MAX_DEPTH = 32  # nested containers
_MAX_ITEMS = 500_000  # values of the whole tree but packed numbers, shared ones as often as they occur
_MAX_NUMBERS = 32_000_000  # packed numbers of the whole tree, counted the same way
_MAX_TEXT = 32 << 20  # characters of all strings together, counted the same way
_MAX_LINE = 64 << 20  # bytes of JSON
_MAX_BYTES = 512 << 20  # of all arrays together
_MAX_INT = 1 << 63
_MAX_ARRAY_DIMS = 8
_MAX_LENGTH = 1 << 31  # of an array's axis
_CONTAINERS = (dict, list, tuple)
_PACK_FROM = 4  # shorter sequences are not worth packing
_NPY_MAGIC = b"\x93NUMPY"
_NPY_HEADER = re.compile(
    rb"\{\s*'descr':\s*'\|O8?',\s*'fortran_order':\s*(?:False|True),\s*'shape':\s*\((?:1,)?\),?\s*\}\s*"
)
_DTYPE = re.compile(r"[<>=|]?(?:b1|\?|[iu][1248]|f[248]|[US][0-9]{1,6}|O8?)")
_STRUCT_CODES = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip

# what a damaged or hostile pickle makes the unpickler raise
_UNREADABLE = (
    pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, OverflowError, RecursionError,
    SystemError, TypeError, ValueError,
)  # fmt: skip


class Refused(Exception):
    """The file holds something else than plain values and arrays; the text is fit for a user."""


class _Token:
    """Stands in for a class or function that a pickle names; it has no attribute that could be set."""

    __slots__ = ("_call",)
    _call: Callable[..., Any]

    def __init__(self, call: Callable[..., Any]) -> None:
        object.__setattr__(self, "_call", call)

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setattr__(self, name: str, value: object) -> None:
        raise Refused(f"it tries to change '{name[:40]}' of a function")


class _Dtype:
    """Stands in for a NumPy dtype: kind and size of plain numbers, text, or objects; its byte order comes by state."""

    __slots__ = ("_done", "code", "order")
    _done: bool
    code: str
    order: str

    def __init__(self, name: object = None, *_: object) -> None:
        if not isinstance(name, str) or not _DTYPE.fullmatch(name):
            shown = repr(name[:40]) if isinstance(name, str) else type(name).__name__
            raise Refused(f"it holds an array of type {shown}; only plain numbers and text are read")
        code = name.lstrip("<>=|")
        set_once = object.__setattr__
        set_once(self, "code", {"?": "b1", "O8": "O"}.get(code, code))
        set_once(self, "order", ">" if name.startswith(">") else "<")
        set_once(self, "_done", False)

    def __setattr__(self, name: str, value: object) -> None:
        raise Refused(f"it tries to change '{name[:40]}' of a dtype")

    def __setstate__(self, state: object) -> None:
        # (version, byte order, sub-array, names, fields, size, alignment, flags[, metadata])
        parts = state if isinstance(state, tuple) else ()
        plain = len(parts) >= 5 and parts[2:5] == (None, None, None)
        if not plain or parts[1] not in ("<", ">", "=", "|") or any(parts[8:]) or self._done:
            raise Refused("it holds an array of a structured type; only plain numbers and text are read")
        object.__setattr__(self, "order", ">" if parts[1] == ">" else "<")
        object.__setattr__(self, "_done", True)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        kind, size = self.code[0], int(self.code[1:] or 8)
        return 4 * size if kind == "U" else size


class _Array:
    """Stands in for a NumPy array: what it would be made of."""

    __slots__ = ("dtype", "objects", "order", "raw", "shape")
    dtype: _Dtype
    objects: list[Any] | None
    order: str
    raw: bytes
    shape: tuple[int, ...] | None  # None until it was filled

    def __init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, None)

    def __setattr__(self, name: str, value: object) -> None:
        raise Refused(f"it tries to change '{name[:40]}' of an array")

    def __setstate__(self, state: object) -> None:
        if self.shape is not None or not isinstance(state, tuple) or len(state) != 5:
            raise Refused("it holds an array whose state is not (version, shape, type, order, bytes)")
        self.fill(state[1], state[2], bool(state[3]), state[4])

    def fill(self, shape: object, dtype: object, fortran: bool, raw: object) -> None:
        """Check and keep the parts."""
        if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple) or len(shape) > _MAX_ARRAY_DIMS:
            raise Refused("it holds an array without a plain type and shape")
        if not all(type(n) is int and 0 <= n < _MAX_LENGTH for n in shape):
            raise Refused("it holds an array whose shape is not made of numbers of a sensible size")
        count = math.prod(shape)
        if count == 0 and max(shape, default=0) > _MAX_ITEMS:
            raise Refused(f"it holds an empty array of shape {shape}")
        if dtype.code == "O":
            if not isinstance(raw, list) or len(raw) != count:
                raise Refused("it holds an array of objects that does not list them")
        else:
            raw = raw.encode("latin1") if isinstance(raw, str) else raw  # protocol 2 of Python 2
            if not isinstance(raw, bytes | bytearray) or len(raw) != count * dtype.itemsize:
                size = len(raw) if isinstance(raw, bytes | bytearray) else type(raw).__name__
                raise Refused(f"it holds an array of shape {shape} and type {dtype.code} with {size} bytes")
        parts = {"shape": shape, "dtype": dtype, "order": "F" if fortran else "C"}
        parts["objects" if dtype.code == "O" else "raw"] = raw if dtype.code == "O" else bytes(raw)
        for name, value in parts.items():
            object.__setattr__(self, name, value)


def _reconstruct(subtype: object, shape: object, code: object) -> _Array:
    if subtype is not _NDARRAY or shape != (0,) or code not in (b"b", "b"):
        raise Refused("it makes an array of a custom type")
    return _Array()


def _frombuffer(raw: object, dtype: object, shape: object, order: object) -> _Array:
    # protocol 5 spells arrays so
    if order not in ("C", "F"):
        raise Refused("it holds an array of an unknown order")
    made = _Array()
    made.fill(shape, dtype, order == "F", raw)
    return made


def _scalar(dtype: object, raw: object) -> Any:
    made = _Array()
    made.fill((), dtype, False, raw)
    if made.objects is not None:
        raise Refused("it holds a number made of Python objects")
    if made.dtype.code[0] in "US":
        return _texts(made)[0]
    return struct.unpack(made.dtype.order + _STRUCT_CODES[made.dtype.code], made.raw)[0]


def _encode(text: object, encoding: object = "utf-8") -> bytes:
    # protocols 0 to 2 spell bytes as _codecs.encode(text, "latin1")
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("it calls _codecs.encode with something else than text and 'latin1'")
    return text.encode("latin1")


def _no_bytes(*args: object) -> bytes:
    # how the same protocols spell empty bytes
    if args:
        raise Refused("it makes bytes of something else than nothing")
    return b""


def _ordered(pairs: object = ()) -> dict[Any, Any]:
    if not isinstance(pairs, list | tuple):
        raise Refused("it makes an OrderedDict of something else than a list of pairs")
    return dict(pairs)


def _not_called(*_: object) -> Any:
    raise Refused("it calls numpy.ndarray itself")


_NDARRAY = _Token(_not_called)
_CORES = ("numpy.core", "numpy._core")
_TOKENS = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Token(_Dtype),
    ("_codecs", "encode"): _Token(_encode),
    ("__builtin__", "bytes"): _Token(_no_bytes),
    ("collections", "OrderedDict"): _Token(_ordered),
    **{(f"{core}.multiarray", "_reconstruct"): _Token(_reconstruct) for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): _Token(_scalar) for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): _Token(_frombuffer) for core in _CORES},
}


class _PlainOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _TOKENS[module, name]
        except KeyError:
            named = f"{module}.{name}"[:120]
            raise Refused(f"it refers to '{named}'; only plain values and NumPy arrays are read") from None

    def persistent_load(self, pid: object) -> Any:
        raise Refused("it refers to objects outside the file")


def main(memory: int, cpu_s: int, sections: list[str]) -> int:
    """Read standard input, write the answer; the exit status is 0 when it is one."""
    limit_process(memory, cpu_s)
    try:
        answer = answer_to(sys.stdin.buffer.read(), sections)
    except Refused as err:
        print(" ".join(str(err).split())[:500].encode("ascii", "backslashreplace").decode())
        return 1
    except MemoryError:
        print(f"it needs more than the {memory / 2**20:.0f} MiB of memory that reading may take")
        return 1
    sys.stdout.buffer.writelines(answer)
    sys.stdout.buffer.flush()
    return 0


def limit_process(memory: int, cpu_s: int) -> None:
    """Bound what this process may take, for good."""
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def answer_to(data: bytes, sections: list[str]) -> list[bytes]:
    """The answer for the bytes of a file, in pieces.

    Raises:
        Refused: they are not a pickle of plain values and arrays.
    """
    if data.startswith(_NPY_MAGIC):
        tree = _only_object(_unpickle(_after_npy_header(data), "the file"))
    else:
        tree = _unpickle(data, "the file")
    answer = _Answer()
    if sections and isinstance(tree, dict):
        pairs = [[_key(key), _section(answer, key, value, sections)] for key, value in tree.items()]
        return answer.pieces({"dict": pairs})
    return answer.pieces(answer.tree(tree))


def _section(answer: _Answer, key: Any, value: Any, sections: list[str]) -> Any:
    if key not in sections or not isinstance(value, bytes | bytearray):
        return answer.tree(value)
    try:
        return answer.tree(_unpickle(bytes(value), f"'{key}'"))
    except Refused as err:
        return {"refused": str(err)[:500]}


def _unpickle(data: bytes, what: str) -> Any:
    try:
        # latin1: texts of Python 2 may be bytes; fix_imports would rename what find_class is asked for
        return _PlainOnly(io.BytesIO(data), fix_imports=False, encoding="latin1").load()
    except _UNREADABLE as err:
        detail = str(err) or type(err).__name__
        raise Refused(f"{what} is not a readable pickle ({detail[:200]})") from err


def _after_npy_header(data: bytes) -> bytes:
    # magic 6, version 2, length 2 (version 1) or 4 bytes, a dict literal
    wide = len(data) > 6 and data[6] >= 2
    start = 12 if wide else 10
    if len(data) < start:
        raise Refused("its .npy header is cut off")
    (size,) = struct.unpack("<I" if wide else "<H", data[8:start])
    if size > 10_000 or not _NPY_HEADER.fullmatch(data[start : start + size]):
        raise Refused("its .npy header is not that of one pickled object")
    return data[start + size :]


def _only_object(tree: Any) -> Any:
    if isinstance(tree, _Array) and tree.objects is not None and len(tree.objects) == 1:
        return tree.objects[0]
    return tree


class _Weight:
    """Size of a tree without expanding it: shared parts are measured once and count as often as they are used."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}

    def of(self, value: Any, depth: int = 0) -> tuple[int, int]:
        """Number of values, and of numbers in sequences that can be packed.

        Raises:
            Refused: too many of either, or nested too deep, e.g. in a cycle.
        """
        known = self._known.get(id(value))
        if known is not None:
            return known
        if depth >= _MAX_DEPTH:
            raise Refused(f"it nests containers more than {_MAX_DEPTH} deep, or in a cycle")
        if type(value) is not dict and _packing(value):
            items, numbers = 1, len(value)
        else:
            items, numbers = 1 + len(value), 0
            for child in value.values() if type(value) is dict else value:
                if type(child) in _CONTAINERS:
                    inner = self.of(child, depth + 1)
                    items, numbers = items + inner[0], numbers + inner[1]
        if items > _MAX_ITEMS or numbers > _MAX_NUMBERS:
            what = f"{_MAX_ITEMS} values" if items > _MAX_ITEMS else f"{_MAX_NUMBERS} numbers"
            raise Refused(f"it unfolds to more than {what}")
        self._known[id(value)] = items, numbers
        return items, numbers


def _packing(values: list[Any] | tuple[Any, ...]) -> str | None:
    """The array code of a sequence of equal numbers that is worth packing."""
    kinds = set(map(type, values)) if len(values) >= _PACK_FROM else None
    return "d" if kinds == {float} else "q" if kinds == {int} else None


class _Answer:
    """Spells values as JSON and collects the bytes of arrays; shared arrays and numbers are stored once."""

    def __init__(self) -> None:
        self._blob: list[bytes] = []
        self._size = 0
        self._text = 0
        self._stored: dict[int, tuple[Any, dict[str, Any]]] = {}

    def pieces(self, spelled: Any) -> list[bytes]:
        """The answer."""
        line = json.dumps(spelled, allow_nan=False).encode()
        if len(line) > _MAX_LINE:
            raise Refused(f"it unfolds to more than {_MAX_LINE >> 20} MiB of text")
        return [line, b"\n", *self._blob]

    def tree(self, value: Any) -> Any:
        """The value spelled as JSON.

        Raises:
            Refused: a type that is not plain, or too much, too deep, or a circle.
        """
        if type(value) in _CONTAINERS:
            _Weight().of(value)
        return self._plain(value)

    def _plain(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return self._spell_text(value)
        if kind is int:
            return _bounded(value)
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if kind is _Array:
            return self._spell_array(value)
        if kind is dict:
            return {"dict": [[_key(key), self._plain(item)] for key, item in value.items()]}
        if kind in (list, tuple):
            return self._packed(value) or {kind.__name__: [self._plain(item) for item in value]}
        named = {_Token: "a function", _Dtype: "a dtype"}.get(kind, f"a value of type {kind.__name__}")
        raise Refused(f"it holds {named}; only plain values and NumPy arrays are read")

    def _spell_text(self, text: str) -> str:
        self._text += len(text)
        if self._text > _MAX_TEXT:
            raise Refused(f"it unfolds to more than {_MAX_TEXT} characters of text")
        return text

    def _store(self, raw: bytes) -> int:
        start = self._size
        self._size += len(raw)
        if self._size > _MAX_BYTES:
            raise Refused(f"its arrays take more than {_MAX_BYTES >> 20} MiB")
        self._blob.append(raw)
        return start

    def _packed(self, values: list[Any] | tuple[Any, ...]) -> dict[str, Any] | None:
        if id(values) in self._stored:
            return self._stored[id(values)][1]
        code = _packing(values)
        if code is None:
            return None
        try:
            raw = array.array(code, values).tobytes()
        except OverflowError:
            return None  # one by one: the error names the number
        dtype = ("<" if sys.byteorder == "little" else ">") + ("f8" if code == "d" else "i8")
        spelled = {"packed": [dtype, len(values), self._store(raw), type(values).__name__]}
        self._stored[id(values)] = values, spelled
        return spelled

    def _spell_array(self, value: _Array) -> Any:
        if id(value) in self._stored:
            return self._stored[id(value)][1]
        if value.shape is None or value.objects is not None:
            raise Refused(
                "it holds an array of Python objects" if value.objects else "it holds an array without state"
            )
        if value.dtype.code[0] in "US":
            return self._plain(_texts(value) if value.shape else _texts(value)[0])
        dtype = value.dtype.order + value.dtype.code
        spelled = {"array": [dtype, list(value.shape), value.order, self._store(value.raw), len(value.raw)]}
        self._stored[id(value)] = value, spelled
        return spelled


def _key(key: Any) -> Any:
    if type(key) is str and len(key) <= 1000:
        return key
    if type(key) is int:
        return _bounded(key)
    raise Refused(
        f"it holds a dict with a key of type {type(key).__name__}; only short names and numbers are read"
    )


def _bounded(number: int) -> int:
    if not -_MAX_INT <= number < _MAX_INT:
        raise Refused(f"it holds a number of {number.bit_length()} bits; numbers up to 64 bits are read")
    return number


def _texts(value: _Array) -> list[str]:
    """The elements of an array of text, which has one axis or none."""
    shape = value.shape or ()
    if len(shape) > 1:
        raise Refused("it holds an array of text with several axes")
    size, wide = value.dtype.itemsize, value.dtype.code[0] == "U"
    encoding = ("utf-32-be" if value.dtype.order == ">" else "utf-32-le") if wide else "latin1"
    count = math.prod(shape)
    if count > _MAX_ITEMS:
        raise Refused(f"it unfolds to more than {_MAX_ITEMS} values")
    try:
        parts = [value.raw[i * size : (i + 1) * size].decode(encoding) for i in range(count)]
    except UnicodeDecodeError as err:
        raise Refused(f"it holds an array of damaged text ({err.reason})") from err
    return [part.rstrip("\0") for part in parts]


if __name__ == "__main__":
    sys.set_int_max_str_digits(1000)
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
