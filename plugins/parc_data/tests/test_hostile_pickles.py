"""A corpus of hostile pickles: each is refused in a sentence, quickly, and nothing in it is executed."""

from __future__ import annotations

import io
import os
import pathlib
import pickle
import resource
import struct
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from parc_data.formats.pickles import read_pickle_tree
from parc_motion.errors import DataError

MAX_CPU_S = 5.0  # CPU, of this process and the one that unpickles
CANARY = pathlib.Path(tempfile.gettempdir()) / f"parc_canary_{os.getpid()}"
TOUCH = f"touch {CANARY}"
WRITE = f"open('{CANARY}', 'w')"


def cpu_seconds() -> float:
    """CPU time of this process and of the children that have ended: a busy machine does not change it."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Call:
    """Pickles as a call of something by its dotted name."""

    def __init__(self, name: str, *args: Any) -> None:
        self.module, _, self.name = name.rpartition(".")
        self.args = args


class Forger(pickle._Pickler):
    """Writes `Call` as GLOBAL and REDUCE, without importing what it names."""

    def save(self, obj: Any, save_persistent_id: bool = True) -> Any:
        if not isinstance(obj, Call):
            return super().save(obj, save_persistent_id)
        self.write(f"c{obj.module}\n{obj.name}\n".encode())
        if obj.args != (None,):
            super().save(obj.args)
            self.write(b"R")
        return None


def forged(value: Any, protocol: int = 2) -> bytes:
    buffer = io.BytesIO()
    Forger(buffer, protocol).dump(value)
    return buffer.getvalue()


def named(name: str) -> Call:
    """The thing itself, not called."""
    return Call(name, None)


GADGETS = {
    "os_system": Call("os.system", TOUCH),
    "posix_system": Call("posix.system", TOUCH),
    "nt_system": Call("nt.system", TOUCH),
    "subprocess": Call("subprocess.call", ["touch", str(CANARY)]),
    "popen": Call("subprocess.Popen", ["touch", str(CANARY)]),
    "eval": Call("builtins.eval", WRITE),
    "python2_eval": Call("__builtin__.eval", WRITE),
    "exec": Call("builtins.exec", WRITE),
    "compile": Call("builtins.compile", WRITE, "x", "exec"),
    "open": Call("builtins.open", str(CANARY), "w"),
    "import": Call("builtins.__import__", "os"),
    "getattr_chain": Call("builtins.getattr", Call("builtins.__import__", "os"), "system"),
    "getattr_of_numpy": Call("builtins.getattr", named("numpy.dtype"), "__init__"),
    "attrgetter": Call("operator.attrgetter", "system"),
    "methodcaller": Call("operator.methodcaller", "system", TOUCH),
    "partial": Call("functools.partial", named("os.system"), TOUCH),
    "reduce": Call("functools.reduce", named("builtins.eval"), [WRITE]),
    "map": Call("builtins.map", named("os.system"), [TOUCH]),
    "import_module": Call("importlib.import_module", "antigravity"),
    "ctypes": Call("ctypes.CDLL", "libc.so.6"),
    "function": Call("types.FunctionType", Call("marshal.loads", b"\xe3\0"), {}),
    "timeit": Call("timeit.timeit", WRITE),
    "pty": Call("pty.spawn", ["touch", str(CANARY)]),
    "rmtree": Call("shutil.rmtree", str(CANARY)),
    "file_handler": Call("logging.FileHandler", str(CANARY)),
    "path_touch": Call("pathlib.Path.touch", Call("pathlib.Path", str(CANARY))),
    "pickle_again": Call("pickle.loads", pickle.dumps(1, 2)),
    "numpy_load": Call("numpy.load", str(CANARY), None, True),
    "numpy_runstring": Call("numpy.testing._private.utils.runstring", WRITE, {}),
    "numpy_f2py": Call("numpy.f2py.crackfortran.myeval", WRITE),
    "numpy_memmap": Call("numpy.memmap", str(CANARY), "u1", "w+", 0, (4,)),
    "numpy_fromfile": Call("numpy.core.multiarray.fromfile", str(CANARY)),
    "numpy_dotted": Call("numpy.ndarray.tofile", str(CANARY)),
    "ndarray_called": Call("numpy.ndarray", (1 << 40,)),
    "reconstruct_other_type": Call("numpy.core.multiarray._reconstruct", named("numpy.dtype"), (0,), b"b"),
    "reconstruct_large": Call("numpy.core.multiarray._reconstruct", named("numpy.ndarray"), (1 << 60,), b"b"),
    "scalar_object": Call("numpy.core.multiarray.scalar", Call("numpy.dtype", "O8"), b"x" * 8),
    "buffer_short": Call("numpy.core.numeric._frombuffer", b"xx", Call("numpy.dtype", "f8"), (9,), "C"),
    "dtype_of_dict": Call("numpy.dtype", {"names": ["a"], "formats": ["O"]}),
    "dtype_structured": Call("numpy.dtype", [("a", "O")]),
    "dtype_void": Call("numpy.dtype", "V8"),
    "encode_elsewhere": Call("_codecs.encode", "x" * 100, "zip"),
    "decode_bomb": Call("_codecs.decode", b"x" * 100, "zip"),
    "ordered_of_call": Call("collections.OrderedDict", Call("os.system", TOUCH)),
    "ordered_of_text": Call("collections.OrderedDict", "text"),
    "reconstructor": Call("copyreg._reconstructor", named("os._wrap_close"), named("builtins.object"), None),
    "newobj": Call("copyreg.__newobj__", named("subprocess.Popen"), ["touch", str(CANARY)]),
    "extension_registry": Call("copyreg.add_extension", "os", "system", 1),
    "torch_tensor": Call("torch._utils._rebuild_tensor_v2", Call("torch.storage._load_from_bytes", b"x")),
    "in_a_dict": {"frames": {"deep": [Call("os.system", TOUCH)]}},
    "in_a_key": {(1, Call("os.system", TOUCH)): 1},
    "function_as_value": {"frames": named("numpy.ndarray")},
    "bytes_with_a_pickle": {"frames": forged(Call("os.system", TOUCH))},
}  # fmt: skip


def text(value: str) -> bytes:
    """The pickle code of a short text."""
    return b"U" + bytes([len(value)]) + value.encode()


def array_with_state(dtype_state: bytes, array_state: bytes = b"", dtype: str = "f8") -> bytes:
    """An array forged by hand: the dtype's state, and the array's own, as pickle code."""
    made = forged([Call("numpy.core.multiarray._reconstruct", named("numpy.ndarray"), (0,), b"b")])[:-2]
    kind = forged(Call("numpy.dtype", dtype, False, True))[2:-1]
    # BUILD the array from (1, shape, dtype, False, bytes)
    return b"\x80\x02" + made[2:] + b"(K\x01" + (array_state or b"K\x01\x85") + kind + dtype_state + \
        b"\x89U\x08" + b"\x01" * 8 + b"tba."  # fmt: skip


def npy(header: str, body: bytes, version: int = 1) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode("latin1") + body


def object_array(*elements: Any) -> np.ndarray:
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


class Exploding:
    """Pickles as a call of os.system."""

    def __reduce__(self) -> Any:
        return os.system, (TOUCH,)


def laughs(start: bytes, levels: int) -> bytes:
    # ten references to the level below, remembered under its number
    body = b"\x80\x02" + start + b"q\x00"
    for level in range(levels):
        get = b"h" + bytes([level])
        body += b"(" + get * 10 + b"tq" + bytes([level + 1])
    return body + b"."


def endless_work() -> bytes:
    text = b"\x80\x02X" + struct.pack("<I", 4 << 20) + b"a" * (4 << 20) + b"q\x000"
    return text + b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R0" * 200_000 + b"N."


def colliding_dict(keys: int) -> bytes:
    # whole numbers that are equal modulo the prime of Python's hash
    prime = (1 << 61) - 1
    numbers = b"".join(b"\x8a\x0a" + (i * prime).to_bytes(10, "little") + b"N" for i in range(1, keys + 1))
    return b"\x80\x02}(" + numbers + b"u."


F8_STATE = b"(K\x03U\x01<NNNK\x08K\x08K\x00tb"
HEADER = "{'descr': '|O', 'fortran_order': False, 'shape': (), }"
CODE: dict[str, Callable[[], bytes]] = {
    "global_in_text_protocol": lambda: b"cposix\nsystem\n" + text(TOUCH) + b"\x85R.",
    "inst_opcode": lambda: b"(" + text(TOUCH) + b"ios\nsystem\n.",
    "obj_opcode": lambda: b"(cos\nsystem\n" + text(TOUCH) + b"o.",
    "newobj_opcode": lambda: b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "stack_global": lambda: b"\x80\x04\x8c\x02os\x8c\x06system\x93" + text(TOUCH) + b"\x85R.",
    "stack_global_of_numbers": lambda: b"\x80\x04K\x01K\x02\x93.",
    "persistent_id": lambda: b"Pmoo\n.",
    "binary_persistent_id": lambda: b"\x80\x02K\x01Q.",
    "extension_code": lambda: b"\x80\x02\x82\x01.",
    "extension_code_4": lambda: b"\x80\x02\x84\xff\xff\xff\x7f.",
    "poisoned_dict": lambda: b"\x80\x02}}U\x08__dict__}sb.",
    "poisoned_slots": lambda: b"\x80\x02cnumpy\nndarray\nN}U\x05_callccollections\nOrderedDict\ns\x86b.",
    "poisoned_class": lambda: b"\x80\x02cnumpy\ndtype\nU\x02f8\x85RN}U\x09__class__cnumpy\nndarray\ns\x86b.",
    "poisoned_setstate": lambda: b"\x80\x02cnumpy\ndtype\nU\x02f8\x85R}U\x0c__setstate__cnumpy\nndarray\nsb.",
    "array_without_state": lambda: forged(
        Call("numpy.core.multiarray._reconstruct", named("numpy.ndarray"), (0,), b"b")
    ),
    "dtype_with_fields": lambda: array_with_state(b"(K\x03U\x01|N)}J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"),
    "dtype_with_metadata": lambda: array_with_state(b"(K\x03U\x01<NNNK\x08K\x08K\x00}U\x01ax" + b"stb"),
    "dtype_of_objects": lambda: array_with_state(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb", dtype="O8"),
    "shape_huge": lambda: array_with_state(F8_STATE, b"\x8a\x08" + b"\0" * 7 + b"\x10\x85"),
    "shape_negative": lambda: array_with_state(F8_STATE, b"J\xff\xff\xff\xff\x85"),
    "shape_empty_but_long": lambda: array_with_state(F8_STATE, b"K\x00J\xff\xff\xff\x7f\x86"),
    "object_array": lambda: pickle.dumps(object_array({"a": 1}, None)),
    "object_array_that_explodes": lambda: pickle.dumps(object_array(Exploding(), None)),
    "structured_array": lambda: pickle.dumps(np.zeros(2, dtype=[("a", "f4"), ("b", "O")])),
    "complex_array": lambda: pickle.dumps(np.zeros(2, dtype=complex)),
    "bytearray_of_a_terabyte": lambda: b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.",
    "bytes_of_an_exabyte": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.",
    "text_of_an_exabyte": lambda: b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"x.",
    "frame_of_an_exabyte": lambda: b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.",
    "memo_bomb": lambda: b"\x80\x02Nr\xff\xff\xff\x7f.",
    "memo_bomb_in_text": lambda: b"Np4294967295000\n.",
    "buffer_outside": lambda: b"\x80\x05\x97.",
    "lists_a_million_deep": lambda: b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b".",
    "tuples_a_million_deep": lambda: b"\x80\x02)" + b"\x85" * 1_000_000 + b".",
    "a_key_a_million_deep": lambda: b"\x80\x02})" + b"\x85" * 1_000_000 + b"Ns.",
    "marks_a_million_deep": lambda: b"\x80\x02" + b"(" * 1_000_000 + b"t" * 1_000_000 + b".",
    "laughs_in_tuples": lambda: laughs(b")", 9),
    "laughs_in_text": lambda: laughs(b"U\xff" + b"a" * 255, 9),
    "laughs_in_numbers": lambda: laughs(b"(" + b"G?\xf0\0\0\0\0\0\0" * 200 + b"t", 9),
    "long_number": lambda: b"\x80\x02\x8b" + struct.pack("<i", 4_200_000) + b"\x7f" * 4_200_000 + b".",
    "long_number_in_digits": lambda: b"L" + b"9" * 10_000_000 + b"L\n.",
    "long_int_in_digits": lambda: b"I" + b"9" * 10_000_000 + b"\n.",
    "text_of_40_megabytes": lambda: b"\x80\x02X" + struct.pack("<I", 40 << 20) + b"a" * (40 << 20) + b".",
    "the_same_text_again_and_again": lambda: b"\x80\x02](X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x01"
    + b"h\x01" * 2000 + b"e.",
    "list_in_itself": lambda: b"\x80\x02]q\x00h\x00a.",
    "dict_in_itself": lambda: b"\x80\x02}q\x00K\x01h\x00s.",
    "a_set": lambda: pickle.dumps({1, 2, 3}),
    "keys_that_collide": lambda: colliding_dict(60_000),
    "endless_work": lambda: endless_work(),
    "stack_underflow": lambda: b"\x80\x02000R.",
    "append_to_nothing": lambda: b"\x80\x02Na.",
    "only_a_mark": lambda: b"\x80\x02(.",
    "unknown_opcode": lambda: b"\x80\x02\xfe.",
    "unknown_protocol": lambda: b"\x80\xffN.",
    "no_stop": lambda: b"\x80\x02}",
    "cut_off": lambda: pickle.dumps({"frames": [1.0] * 100})[:-40],
    "no_pickle": lambda: b"frames = 3\n" * 20,
    "npy_evil_literal": lambda: npy(f"__import__('os').system({TOUCH!r}) or " + HEADER, pickle.dumps(1)),
    "npy_of_a_huge_shape": lambda: npy(HEADER.replace("()", "(1152921504606846976,)"), pickle.dumps(1)),
    "npy_header_of_4_gigabytes": lambda: b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + HEADER.encode(),
    "npy_header_missing": lambda: b"\x93NUMPY\x01",
    "npy_that_explodes": lambda: npy(HEADER, pickle.dumps(np.array(Exploding(), dtype=object))),
    "npy_of_two_objects": lambda: npy(HEADER, pickle.dumps(object_array(1, 2))),
}  # fmt: skip
CORPUS = {**{name: partial(forged, value) for name, value in GADGETS.items()}, **CODE}


@pytest.mark.parametrize("name", CORPUS)
def test_a_hostile_pickle_is_refused_in_a_sentence_and_not_executed(
    name: str, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "hostile.pkl"
    path.write_bytes(CORPUS[name]())
    started = cpu_seconds()
    with pytest.raises(DataError) as caught:
        read_pickle_tree(path)
    assert cpu_seconds() - started < MAX_CPU_S
    text = str(caught.value)
    assert text.startswith(f"{path}: refused: ")
    assert text.endswith(". Nothing was executed. Save the motion as plain values and NumPy arrays.")
    assert len(text) < len(str(path)) + 700
    assert not CANARY.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_the_canary_sings_when_a_pickle_of_the_corpus_is_read_without_limits() -> None:
    pickle.loads(CORPUS["os_system"]())
    try:
        assert CANARY.exists()
    finally:
        CANARY.unlink(missing_ok=True)


def test_a_hostile_section_spoils_only_itself(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "hostile.pkl"
    path.write_bytes(pickle.dumps({"good": pickle.dumps([1.5]), "bad": CORPUS["os_system"]()}))
    tree = read_pickle_tree(path, ("good", "bad"))
    assert tree["good"] == [1.5]
    assert tree["bad"].reason == "it refers to 'os.system'; only plain values and NumPy arrays are read"
    assert not CANARY.exists()


def test_sections_are_read_one_level_deep(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "hostile.pkl"
    inner = pickle.dumps({"outer": CORPUS["os_system"]()})
    path.write_bytes(pickle.dumps({"outer": inner}))
    tree = read_pickle_tree(path, ("outer",))
    assert (
        tree["outer"].reason == "it holds a value of type bytes; only plain values and NumPy arrays are read"
    )


def test_the_child_gets_no_environment_and_runs_isolated(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[str], dict[str, Any]]] = []
    start = subprocess.Popen

    def spy(command: list[str], **words: Any) -> Any:
        started.append((command, words))
        return start(command, **words)

    monkeypatch.setattr(subprocess, "Popen", spy)
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([1, 2]))
    assert read_pickle_tree(path) == [1, 2]
    ((command, words),) = started
    assert {"-I", "-S"} <= set(command)
    assert words["env"] == {}
    assert words["cwd"] == "/"


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe.pkl")
    with pytest.raises(DataError, match=r"pipe\.pkl: is not a regular file"):
        read_pickle_tree(tmp_path / "pipe.pkl")
