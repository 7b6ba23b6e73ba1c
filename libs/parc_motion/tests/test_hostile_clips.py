"""Hostile and damaged clip and terrain files: each is refused with one clear error, quickly and in little memory."""

from __future__ import annotations

import json
import pathlib
import random
import struct
import sys
import time
import zipfile
from functools import partial
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from hostile_arrays import (
    MEGA,
    NO_FILES,
    Entry,
    archive,
    described,
    exploding,
    forged_npy,
    link_entry,
    many_members,
    npy,
    parts_of,
    patched,
    sound_clip,
    zeros,
)  # fmt: skip

from parc_motion.clips import load_clip, load_execution, load_terrain, save_clip, save_terrain
from parc_motion.errors import DataError, ParcError
from parc_testing.builders import make_terrain
from parc_testing.damage import damaged
from parc_testing.levels import rounds
from parc_testing.watching import MAX_CPU_S, faults, figure, watched_each

# what is wrong with these does no harm: no reader asks for those members, and zeros are cells
READABLE = {"member_outside", "member_absolute", "bomb_of_touched"}
CANARY = pathlib.Path("/nonexistent/parc_canary")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    path = tmp_path_factory.mktemp("sound") / "clip.npz"
    save_clip(path, sound_clip())
    return parts_of(path)


def members_of(arrays: dict[str, np.ndarray], header: Any) -> dict[str, bytes]:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    packed = {name: value if isinstance(value, bytes) else npy(value) for name, value in arrays.items()}
    return {"header.npy": npy(np.frombuffer(text, np.uint8))} | {
        f"{name}.npy": one for name, one in packed.items()
    }


def corpus(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> dict[str, bytes | Entry]:
    """Hostile files by name."""
    members = members_of(arrays, header)
    good = archive(members)
    text = json.dumps(header)
    end, entry, local = b"PK\5\6", b"PK\1\2", b"PK\3\4"

    def fields(**changed: Any) -> bytes:
        return archive(members_of(arrays, {**header, **changed}))

    def spelled(name: str, value: str) -> bytes:
        """The header with the JSON text of a field as it is given."""
        changed = {**header, name: "@"}
        return archive(members_of(arrays, json.dumps(changed).replace('"@"', value).encode()))

    def array(**changed: Any) -> bytes:
        return archive(members_of({**arrays, **changed}, header))

    def raw(name: str, content: bytes, **options: Any) -> bytes:
        return archive({**members, f"{name}.npy": content}, **options)

    def terrain(**changed: Any) -> bytes:
        return fields(terrain={**header["terrain"], **changed})

    def provenance(**changed: Any) -> bytes:
        return fields(provenance={**header["provenance"], **changed})

    return {
        # archives
        "empty": b"",
        "text": b"clip\n" * 1000,
        "signature_only": local,
        "cut_in_the_middle": good[: len(good) // 2],
        "cut_before_the_end": good[:-1],
        "end_only": end + bytes(18),
        "comment": patched(good, end, 20, b"\3\0", last=True) + b"abc",
        "long_form": good[:-22] + b"PK\6\7" + bytes(16) + good[-22:],
        "100_000_members": many_members(100_000),
        "member_twice": _doubled(members),
        "encrypted": patched(good, entry, 8, b"\1\0"),
        "method_lzma": archive(members, zipfile.ZIP_LZMA),
        "method_bzip2": archive(members, zipfile.ZIP_BZIP2),
        "method_unknown": patched(good, entry, 10, b"\x63\0"),
        "link": archive(members, external_attr=link_entry()),
        "member_outside": archive({**members, "../outside.npy": npy(1.0)}),
        "member_absolute": archive({**members, "/tmp/outside.npy": npy(1.0)}),
        "member_not_an_array": archive({**members, "readme.txt": b"hello"}),
        "bomb": raw("root_pos", zeros(32 * MEGA)),
        "bomb_of_many": archive({**members, **{f"b{i}.npy": zeros(MEGA // 2) for i in range(40)}}),
        "bomb_within_the_limit": raw("root_pos", zeros(15 * MEGA, width=3)),
        "bomb_of_bytes": raw("root_pos", zeros(60 * MEGA, "|i1")),
        "bomb_of_a_header": archive({**members, "header.npy": zeros(60 * MEGA, "|u1")}),
        "bomb_of_touched": raw("touched", zeros(15 * MEGA, "|i1", width=3)),
        "bomb_of_kinds": raw("path_kinds", zeros(16 * MEGA, "|i1")),
        "size_stated_too_small": patched(good, entry, 24, struct.pack("<I", 10)),
        "size_stated_too_large": patched(good, entry, 24, struct.pack("<I", 1 << 20)),
        "size_stated_4_gb": patched(good, entry, 24, b"\xfe\xff\xff\xff"),
        "crc_wrong": patched(good, entry, 16, b"\1\2\3\4"),
        "directory_larger_than_the_file": patched(good, end, 12, b"\xff\xff\xff\x7f", last=True),
        "directory_elsewhere": patched(good, end, 16, b"\xff\xff\xff\x7f", last=True),
        "member_beyond_the_end": patched(good, entry, 42, b"\xff\xff\xff\x7f"),
        "member_of_another_name": patched(good, local, 30, b"evil"),
        "extra_field_damaged": patched(good, entry, 30, b"\xff\xff"),
        # arrays
        "pickle": raw("root_pos", exploding(f"touch {CANARY}")),
        "pickled_header": archive({**members, "header.npy": exploding(f"touch {CANARY}")}),
        "shape_huge": raw("root_pos", forged_npy(described(f"({1 << 60}, 3)"), bytes(120))),
        "shape_overflows": raw("root_pos", forged_npy(described(f"({1 << 62}, {1 << 62}, 4)"), bytes(120))),
        "shape_empty_but_long": raw("root_pos", forged_npy(described(f"({1 << 62}, 0)"))),
        "shape_negative": raw("root_pos", forged_npy(described("(-10, -3)"), bytes(120))),
        "shape_of_floats": raw("root_pos", forged_npy(described("(1.5, 3)"), bytes(120))),
        "shape_short": raw("root_pos", forged_npy(described("(9, 3)"), bytes(120))),
        "shape_wrong": array(root_pos=np.zeros((10, 4), np.float32)),
        "shape_of_33_axes": raw("root_pos", forged_npy(described("(" + "1, " * 40 + ")"), bytes(4))),
        "header_is_code": raw("root_pos", forged_npy(f"__import__('os').system('touch {CANARY}')\n")),
        "header_deep": raw("root_pos", forged_npy(described("(" * 4000 + ")" * 4000))),
        "header_cut": raw("root_pos", forged_npy("{'descr': '<f4', 'shape': (")),
        "header_without_end_of_text": raw("root_pos", forged_npy("{'descr': '''<f4, 'shape': (3,)}")),
        "header_indented": raw("root_pos", forged_npy("  {\n 1\n   }\n 2")),
        "header_of_nulls": raw("root_pos", forged_npy("\0" * 100)),
        "header_4_gb": raw("root_pos", forged_npy(described(), version=(2, 0), size=0xFFFFFFFF)),
        "header_too_long": raw("root_pos", forged_npy(described() + " " * 60_000)),
        "version_unknown": raw("root_pos", forged_npy(described(), bytes(120), version=(9, 9))),
        "no_magic": raw("root_pos", b"hello" * 30),
        "type_structured": array(root_pos=np.zeros(10, "f4,i4")),
        "type_date": array(root_pos=np.zeros((10, 3), "M8[s]")),
        "type_complex": array(root_pos=np.zeros((10, 3), "c16")),
        "type_text": array(root_pos=np.full((10, 3), "1.5")),
        "type_integer": array(root_pos=np.zeros((10, 3), np.int64)),
        "type_of_nothing": raw("root_pos", forged_npy(described("(0,)", "'<U0'"))),
        "type_that_is_none": raw("root_pos", forged_npy(described(descr="'(1000000,1000000)f4'"), bytes(120))),
        "type_is_code": raw("root_pos", forged_npy(described(descr="'f4,('"), bytes(120))),
        "type_deep": raw("root_pos", forged_npy(described(descr="[('a'," * 300 + "'f4'" + ")]" * 300), bytes(120))),
        "not_finite": array(root_pos=np.full((10, 3), np.nan, np.float32)),
        "infinite": array(contacts=np.full((10, 15), np.inf, np.float32)),
        "too_large_for_float32": array(root_pos=np.full((10, 3), 1e300)),
        "beyond_the_earth": array(root_pos=np.full((10, 3), 1e20, np.float32)),
        "quaternions_of_zeros": array(root_rot=np.zeros((10, 4), np.float32)),
        "quaternions_huge": array(joint_rot=np.full((10, 14, 4), 3e38, np.float32)),
        "no_frames": array(**{name: arrays[name][:0] for name in ("root_pos", "root_rot", "joint_rot", "contacts")}),
        "too_many_frames": _long(arrays, header),
        "too_many_joints": _wide(arrays, header),
        "touched_beyond": array(touched=np.array([[0, 999, 0]], np.int32)),
        "touched_before": array(touched=np.array([[-1, 0, 0]], np.int32)),
        "touched_late": array(touched=np.array([[10, 0, 0]], np.int32)),
        "touched_not_whole": array(touched=np.full((1, 3), np.nan)),
        "touched_flat": array(touched=np.zeros(3, np.int32)),
        "terrain_empty": array(terrain_height=np.zeros((0, 0), np.float32)),
        "terrain_flat_list": array(terrain_height=np.zeros(12, np.float32)),
        "terrain_not_finite": array(terrain_origin_xy=np.array([np.nan, 0.0], np.float32)),
        "bounds_not_finite": array(terrain_bounds=np.full((12, 10, 2), np.nan, np.float32)),
        "bounds_of_another_shape": array(terrain_bounds=np.zeros((3, 3, 2), np.float32)),
        "path_of_one_point": array(path_points=np.zeros((1, 3), np.float32), path_kinds=np.zeros(0, np.int8)),
        "path_kind_unknown": array(path_kinds=np.array([0, 99], np.int8)),
        "array_missing": archive({name: one for name, one in members.items() if name != "contacts.npy"}),
        # headers
        "no_header": archive({name: one for name, one in members.items() if name != "header.npy"}),
        "header_not_json": archive({**members, "header.npy": npy(np.frombuffer(b"{]", np.uint8))}),
        "header_of_floats": archive({**members, "header.npy": npy(np.zeros(5))}),
        "header_a_list": archive(members_of(arrays, [1])),
        "header_nested": archive(members_of(arrays, b"[" * 100_000 + b"]" * 100_000)),
        "header_nested_100": spelled("notes", "[" * 100 + "]" * 100),
        "header_in_utf16": archive(members_of(arrays, text.encode("utf-16")[:-1])),
        "header_half_a_character": spelled("name", '"\\ud800"'),
        "kind_unknown": fields(kind="parc.spam"),
        "kind_a_list": fields(kind=[[[["x" * 1000]]]]),
        "format_unknown": fields(format=2),
        "fps_huge": fields(fps=1e308),
        "fps_beyond_floats": spelled("fps", "1e999"),
        "fps_of_5000_digits": spelled("fps", "9" * 5000),
        "fps_of_4000_digits": spelled("fps", "9" * 4000),
        "fps_nan": spelled("fps", "NaN"),
        "fps_zero": fields(fps=0),
        "fps_tiny": fields(fps=1e-300),
        "fps_text": fields(fps="30"),
        "fps_true": fields(fps=True),
        "fps_null": fields(fps=None),
        "cell_tiny": terrain(cell=1e-300),
        "cell_huge": terrain(cell=1e300),
        "cell_list": terrain(cell=[0.4]),
        "terrain_a_list": fields(terrain=[1]),
        "terrain_null": fields(terrain=None),
        "path_a_text": fields(path="here"),
        "path_cost_null": fields(path={"cost": None}),
        "name_outside": fields(name="../../x"),
        "name_a_number": fields(name=7),
        "name_too_long": fields(name="x" * 100_000),
        "loop_unknown": fields(loop="sometimes"),
        "loop_a_list": fields(loop=[]),
        "skeleton_a_number": fields(skeleton=5),
        "class_outside": fields(motion_class="/etc"),
        "provenance_a_list": fields(provenance=[]),
        "provenance_unknown": provenance(evil=1),
        "parents_a_text": provenance(parents="abc"),
        "parents_numbers": provenance(parents=[1, 2]),
        "seed_a_text": provenance(seed="x"),
        "scores_a_list": provenance(scores=[1]),
        **NO_FILES,
    }  # fmt: skip


def _doubled(members: dict[str, bytes]) -> bytes:
    data = archive({**members, "root_poz.npy": members["root_pos.npy"]})
    return data.replace(b"root_poz.npy", b"root_pos.npy")


def _long(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> bytes:
    frames = 2_000_001
    shapes = {
        "root_pos": (frames, 3),
        "root_rot": (frames, 4),
        "joint_rot": (frames, 0, 4),
        "contacts": (frames, 1),
    }
    changed = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return archive(members_of({**arrays, **changed}, header))


def _wide(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> bytes:
    rotations = np.tile(np.float32([0, 0, 0, 1]), (10, 20_000, 1))
    changed = {"joint_rot": rotations, "contacts": np.zeros((10, 20_001), np.float32)}
    return archive(members_of({**arrays, **changed}, header))


def read_with_each(path: pathlib.Path) -> None:
    """Every reader of such files refuses this one."""
    refused = []
    for reader in (load_clip, load_terrain, load_execution):
        try:
            reader(path)
        except DataError as err:
            assert str(path) in str(err)
            assert len(str(err)) < len(str(path)) + 1000
            refused.append(str(err))  # the error itself would keep what was read
    if len(refused) == 3:
        raise DataError(refused[0])


def put(path: pathlib.Path, content: bytes | Entry) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        content(path)


def test_hostile_clips_are_refused(sound, tmp_path: pathlib.Path, measured) -> None:
    reads = {}
    for name, content in corpus(*sound).items():
        (tmp_path / name).mkdir()
        put(tmp_path / name / "x.npz", content)
        reads[name] = partial(read_with_each, tmp_path / name / "x.npz")
    found = watched_each(reads, refusal=ParcError)
    assert {path.name for path in tmp_path.iterdir()} == set(reads)
    assert all(len(list((tmp_path / name).iterdir())) == (name != "path_missing") for name in reads)
    measured("hostile files, clips and terrains", figure(found))
    assert len(found) >= 40
    assert faults(found, lambda name: name not in READABLE) == []


def terrain_parts(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    save_terrain(path, make_terrain())
    return parts_of(path)


TERRAINS: dict[str, dict[str, Any]] = {
    "cell_tiny": {"cell": 1e-300}, "cell_huge": {"cell": 1e308}, "cell_text": {"cell": "wide"},
    "cell_true": {"cell": True}, "cell_missing": {"cell": None}, "origin_wrong": {"origin_xy": np.zeros(3)},
    "height_far": {"height": np.full((3, 3), 1e9)}, "height_text": {"height": np.array([["a"]])},
    "height_whole": {"height": np.zeros((3, 3), np.int8)}, "height_of_three_axes": {"height": np.zeros((3, 3, 3))},
    "bounds_nan": {"bounds": np.full((12, 10, 2), np.nan)}, "height_nan": {"height": np.full((3, 3), np.nan)},
}  # fmt: skip


@pytest.mark.parametrize("name", TERRAINS)
def test_hostile_terrain_is_refused(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / "x.npz"
    arrays, header = terrain_parts(path)
    for key, value in TERRAINS[name].items():
        (arrays if isinstance(value, np.ndarray) else header)[key] = value
    path.write_bytes(archive(members_of(arrays, header)))
    with pytest.raises(DataError, match=r"x\.npz: "):
        load_terrain(path)


@pytest.mark.filterwarnings("ignore")
def test_mutated_clips_are_read_or_refused(sound, tmp_path: pathlib.Path, measured) -> None:
    """Damage to the packed file is noticed by its checksums, so half of it is done before packing."""
    arrays, header = sound
    members, rng = members_of(arrays, header), random.Random(1)
    good, path = archive(members, zipfile.ZIP_STORED), tmp_path / "x.npz"
    refused, count, slowest = 0, 0, 0.0
    for number in rounds(pr=1000, nightly=100_000):
        if number % 2:
            name = rng.choice(list(members))
            data = archive({**members, name: damaged(members[name], rng)}, zipfile.ZIP_STORED)
        else:
            data = damaged(good, rng)
        path.write_bytes(data)
        started, count = time.process_time(), count + 1
        try:
            load_clip(path)
        except DataError as err:
            refused += 1
            assert str(path) in str(err)
        slowest = max(slowest, time.process_time() - started)
    measured(
        "mutated files, clips", f"{count}, {refused} refused, the others read; at most {slowest:.2f} s CPU"
    )
    assert slowest < MAX_CPU_S
    assert 0.5 * count < refused < count
