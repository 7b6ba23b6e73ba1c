"""A thousand damaged inputs per importer, at night a hundred thousand: a DataError or a motion, never a long wait.

Pickles are mutated in bulk: one process, limited as the real child, runs the child's own `answer_to` on all of them,
and each importer then reads every answer. `test_hostile_pickles` goes through a child for each file.
"""

from __future__ import annotations

import copy
import io
import json
import pathlib
import pickle
import random
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parc_data
from parc_data.formats import amass, amp, deepmimic, mimickit, parc_ms, pickles
from parc_data.formats.fields import humanoid
from parc_data.formats.format import Format, ReadOptions
from parc_motion.errors import DataError
from parc_testing.damage import damaged
from parc_testing.levels import rounds

INPUTS = 1000  # at once
NIGHTLY = 100  # times as many
MAX_CPU_S = 2.0  # CPU, one input
CHILD = pathlib.Path(parc_data.__file__).with_name("unpickle_child.py")
IDENTITY = [0.0, 0.0, 0.0, 1.0]
ODD: list[Any] = [
    None, True, -1, 0, 1e308, -1e308, float("nan"), float("inf"), 1e-300, 1 << 62, "text", "", [], {}, (), [[]],
    [1, [2]],
    {"arr": [1.0]}, np.zeros(0), np.zeros((0, 3)), np.zeros((3, 0, 4)), np.array(5), np.full((2, 3), np.nan),
    np.array(["a", "b"]), np.arange(4), np.ones((7, 3)), np.array(IDENTITY), np.full((5, 15, 4), 0.5), [0.1] * 44,
]  # fmt: skip
BATCH = """
import runpy, struct, sys, time, traceback
child = runpy.run_path(sys.argv[1], run_name="child")
sys.set_int_max_str_digits(1000)
data = sys.stdin.buffer.read()
child["limit_process"](1 << 30, 60)
at = 0
while at < len(data):
    (size,) = struct.unpack_from("<I", data, at)
    one, at = data[at + 4 : at + 4 + size], at + 4 + size
    started = time.process_time()
    try:
        status, answer = 0, b"".join(child["answer_to"](one, sys.argv[2:]))
    except child["Refused"] as err:
        status, answer = 1, str(err).encode("utf-8", "replace")
    except MemoryError:
        status, answer = 1, b"memory"
    except BaseException:
        status, answer = 3, traceback.format_exc().encode()
    spent = time.process_time() - started
    sys.stdout.buffer.write(struct.pack("<IId", len(answer), status, spent) + answer)
"""


def twisted(tree: Any, rng: random.Random) -> Any:
    """The same tree with one to three of its parts missing, replaced by something odd, or of another shape."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.randint(1, 3)):
        holder, key = rng.choice(list(places(tree)))
        old, change = holder[key], rng.randrange(6)
        if change == 0 and isinstance(holder, dict):
            del holder[key]
        elif change == 1 and is_table(old):
            holder[key] = rng.choice([old[1:], old[..., 1:], old.T, old > 0, old * 1e9, old[None], -old])
        elif change == 2 and is_table(old):
            old.flat[rng.randrange(old.size)] = rng.choice([np.nan, np.inf, 1e30, -7.0, 0.0])
        elif change == 3 and isinstance(old, list) and old:
            holder[key] = rng.choice([old[1:], old * 2, [old], old[0], dict(enumerate(old[:3]))])
        else:
            holder[key] = copy.deepcopy(rng.choice(ODD))
    return tree


def is_table(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim > 0 and value.size > 0 and value.dtype.kind == "f"


def places(tree: Any) -> Any:
    """(container, key) of every part of a tree; a single spot where that is empty."""
    pending, found = [tree], []
    while pending:
        node = pending.pop()
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            found.append((node, key))
            if isinstance(value, dict | list):
                pending.append(value)
    return found or [({"": 0}, "")]


def motion_arrays(frames: int = 5) -> dict[str, np.ndarray]:
    return {
        "root_pos": np.zeros((frames, 3), dtype=np.float32),
        "root_rot": np.tile(np.float32(IDENTITY), (frames, 1)),
        "joint_rot": np.tile(np.float32(IDENTITY), (frames, 14, 1)),
        "body_contacts": np.zeros((frames, 15), dtype=np.float32),
    }


def parc_tree() -> dict[str, Any]:
    ground = {"hf": np.zeros((4, 4)), "hf_maxmin": np.ones((4, 4, 2)), "min_point": np.zeros(2), "dx": 0.4}
    extras = {
        "hf_mask_inds": [np.ones((2, 2), dtype=np.int64)] * 5,
        "path_nodes": np.zeros((3, 3)),
        "obs": np.ones((5, 8)),
    }
    return {
        "motion_data": {**motion_arrays(), "fps": 30, "loop_mode": "CLAMP"},
        "terrain_data": ground,
        "misc_data": extras,
    }


def parc_bytes(tree: Any) -> bytes:
    return pickle.dumps({k: v if v is None else pickle.dumps(v) for k, v in tree.items()})


def mimickit_tree() -> dict[str, Any]:
    return {
        "loop_mode": 0,
        "fps": 30,
        "frames": [[0.1] * 34 for _ in range(4)],
        "contacts": np.zeros((4, 15)),
    }


def amp_tree() -> dict[str, Any]:
    skeleton, arrays = humanoid(), motion_arrays()
    rotation = np.concatenate([arrays["root_rot"][:, None], arrays["joint_rot"]], axis=1)
    return {
        "rotation": {"arr": rotation},
        "root_translation": {"arr": arrays["root_pos"]},
        "skeleton_tree": {
            "node_names": list(skeleton.body_names),
            "parent_indices": {"arr": np.array(skeleton.parents)},
            "local_translation": {"arr": np.array(skeleton.offsets)},
        },
        "is_local": False,
        "fps": np.array(30),
    }


def npy_bytes(tree: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(tree, dtype=object), allow_pickle=True)
    return buffer.getvalue()


def inputs(tree: Any, spell: Callable[[Any], bytes], seed: int) -> list[bytes]:
    """Half of them damaged in their bytes, half in their structure."""
    rng = random.Random(seed)
    sound = spell(tree)
    return [damaged(sound, rng) if i % 2 else spell(twisted(tree, rng)) for i in range(INPUTS)]


def answers(data: list[bytes], sections: tuple[str, ...]) -> list[tuple[bytes, int, float]]:
    stream = b"".join(struct.pack("<I", len(one)) + one for one in data)
    command = [sys.executable, "-I", "-S", "-W", "ignore", "-c", BATCH, str(CHILD), *sections]
    done = subprocess.run(command, input=stream, capture_output=True, env={}, check=True)
    found, at = [], 0
    while at < len(done.stdout):
        size, status, spent = struct.unpack_from("<IId", done.stdout, at)
        found.append((done.stdout[at + 16 : at + 16 + size], status, spent))
        at += 16 + size
    return found


def read_or_refuse(reader: Format, path: pathlib.Path) -> tuple[bool, float]:
    """Whether a motion came out, and the CPU time; anything but a motion or a DataError is raised."""
    started = time.process_time()
    try:
        read = bool(reader.read(path, ReadOptions()))
    except DataError as err:
        assert str(err).startswith(str(path))
        read = False
    return read, time.process_time() - started


@pytest.mark.parametrize(
    ("reader", "tree", "spell", "sections"),
    [
        (parc_ms.FORMAT, parc_tree(), parc_bytes, ("motion_data", "terrain_data", "misc_data")),
        (mimickit.FORMAT, mimickit_tree(), pickle.dumps, ()),
        (amp.FORMAT, amp_tree(), npy_bytes, ()),
    ],
    ids=["parc_ms", "mimickit", "amp"],
)
def test_mutated_pickles_give_a_motion_or_an_error(
    reader: Format,
    tree: Any,
    spell: Callable[[Any], bytes],
    sections: tuple[str, ...],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    measured: Callable[[str, str], None],
) -> None:
    path, total, readable, slowest = tmp_path / "input", 0, 0, 0.0
    for batch in rounds(pr=1, nightly=NIGHTLY):
        found = answers([spell(tree), *inputs(tree, spell, seed=5 + batch)], sections)
        assert len(found) == INPUTS + 1
        assert [answer.decode() for answer, status, _ in found if status == 3] == []
        for place, (answer, status, spent) in enumerate(found):
            monkeypatch.setattr(pickles, "_run_child", lambda *_, a=answer, s=status: (a, s))
            read, reading = read_or_refuse(reader, path)
            assert read or place > 0, "the sound one is read"
            slowest = max(slowest, spent + reading)
            readable += read
        total += INPUTS
    measured(f"mutated files, {reader.name}", row(total, readable, slowest))
    assert slowest < MAX_CPU_S
    # some damage does no harm, most is found
    assert 0.02 * total < readable < 0.7 * total


def row(total: int, readable: int, slowest: float) -> str:
    return f"{total}, {total - readable} refused, the others read; at most {slowest:.2f} s CPU"


def json_bytes(tree: Any) -> bytes:
    def plain(value: Any) -> Any:
        return value.tolist() if isinstance(value, np.ndarray) else str(value)

    return json.dumps(tree, default=plain, skipkeys=True).encode()


def npz_bytes(tree: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    sound = {name: value for name, value in tree.items() if not isinstance(value, list | dict)}
    np.savez(buffer, **sound)
    return buffer.getvalue()


FRAME = [0.033, 0.0, 0.9, 0.0] + [1.0, 0.0, 0.0, 0.0] * 4 + [0.1] + [1.0, 0.0, 0.0, 0.0] * 2 + [0.2] + \
    [1.0, 0.0, 0.0, 0.0] + [0.1] + [1.0, 0.0, 0.0, 0.0] * 2 + [0.2]  # fmt: skip


@pytest.mark.parametrize(
    ("reader", "tree", "spell"),
    [
        (deepmimic.FORMAT, {"Loop": "wrap", "Frames": [list(FRAME) for _ in range(3)]}, json_bytes),
        (
            amass.FORMAT,
            {"poses": np.zeros((5, 72)), "trans": np.zeros((5, 3)), "mocap_framerate": 30.0, "betas": np.zeros(10)},
            npz_bytes,
        ),
    ],
    ids=["deepmimic", "amass"],
)  # fmt: skip
def test_mutated_texts_and_archives_give_a_motion_or_an_error(
    reader: Format,
    tree: Any,
    spell: Callable[[Any], bytes],
    tmp_path: pathlib.Path,
    measured: Callable[[str, str], None],
) -> None:
    path, total, readable, slowest = tmp_path / "input", 0, 0, 0.0
    for batch in rounds(pr=1, nightly=NIGHTLY):
        for place, data in enumerate([spell(tree), *inputs(tree, spell, seed=6 + batch)]):
            path.write_bytes(data)
            read, spent = read_or_refuse(reader, path)
            assert read or place > 0, "the sound one is read"
            slowest = max(slowest, spent)
            readable += read
        total += INPUTS
    measured(f"mutated files, {reader.name}", row(total, readable, slowest))
    assert slowest < MAX_CPU_S
    assert 0.02 * total < readable < 0.7 * total
