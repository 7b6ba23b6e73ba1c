"""Hostile motion lists, manifests, JSON, tensors and packed stores: each is refused with one clear error."""

from __future__ import annotations

import json
import pathlib
import random
import shutil
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from hostile_arrays import MEGA, NO_FILES, Entry, described, exploding, forged_npy, npy

from parc_motion import storage
from parc_motion.clips import MotionDataset, PackedClips, read_motion_list, save_clip, write_packed_clips
from parc_motion.clips.dataset import DatasetEntry
from parc_motion.errors import DataError, ParcError
from parc_testing.builders import make_clip
from parc_testing.damage import damaged
from parc_testing.levels import rounds
from parc_testing.watching import MAX_CPU_S, faults, figure, watched, watched_each

ROW = {
    "file": "a.npz", "name": "a", "class": "walk", "weight": 1.0, "num_frames": 30, "fps": 30.0, "origin": "input",
    "sha256": "0" * 64,
}  # fmt: skip


def manifest(**changed: Any) -> bytes:
    return json.dumps({"format": 1, "digest": "x", "motions": [{**ROW, **changed}]}).encode()


def spelled(key: str, value: str) -> bytes:
    """A manifest whose row has the JSON text of a value as it is given."""
    return manifest(**{key: "@"}).replace(b'"@"', value.encode())


def listed(rows: str) -> bytes:
    return b"motions:\n" + rows.encode()


LAUGHS = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]\n" for i in range(1, 10))
LISTS: dict[str, bytes | Entry] = {
    "empty": b"",
    "nulls": b"\0" * 1000,
    "a_number": b"5",
    "a_text": b"motions",
    "no_rows": b"motions: []\n",
    "rows_a_mapping": b"motions: {a: b}\n",
    "row_a_number": listed("- 5\n"),
    "row_without_file": listed("- {weight: 1}\n"),
    "file_a_list": listed("- {file: [a], weight: 1}\n"),
    "file_empty": listed("- {file: '', weight: 1}\n"),
    "file_with_a_null": listed('- {file: "a\\0b", weight: 1}\n'),
    "file_long": listed(f"- {{file: {'x' * 9000}}}\n"),
    "key_unknown": listed("- {file: a, evil: 1}\n"),
    "key_twice": listed("- {file: a, file: b}\n"),
    "key_a_list": listed("- {[a]: b}\n"),
    "merge_key": listed("- {file: a, <<: {weight: 3}}\n"),
    "weight_nan": listed("- {file: a, weight: .nan}\n"),
    "weight_infinite": listed("- {file: a, weight: .inf}\n"),
    "weight_huge": listed("- {file: a, weight: 1e308}\n- {file: b, weight: 1e308}\n"),
    "weight_negative": listed("- {file: a, weight: -1}\n"),
    "weight_of_5000_digits": listed(f"- {{file: a, weight: {'9' * 5000}}}\n"),
    "weight_of_hexadecimals": listed(f"- {{file: a, weight: 0x{'f' * 5000}}}\n"),
    "weight_true": listed("- {file: a, weight: true}\n"),
    "weight_list": listed("- {file: a, weight: [[[[1]]]]}\n"),
    "weights_zero": listed("- {file: a, weight: 0}\n"),
    "class_outside": listed("- {file: a, class: ../../etc}\n"),
    "class_a_number": listed("- {file: a, class: 7}\n"),
    "tag_python": listed("- !!python/object/apply:os.system ['true']\n"),
    "tag_python_name": listed("- {file: !!python/name:os.system }\n"),
    "tag_set": listed("- !!set {a, b}\n"),
    "tag_binary": listed(f"- {{file: !!binary {'A' * 100_000}}}\n"),
    "laughs": f"l0: &l0 [ha]\n{LAUGHS}motions: *l9\n".encode(),
    "alias_of_itself": b"motions: &a [*a]\n",
    "anchors_a_million": listed("- &a 1\n" * 500_000),
    "nested_in_flow": b"[" * 4_000_000,
    "nested_in_blocks": b"- " * 2_000_000,
    "nested_in_maps": b"{a: " * 1_000_000,
    "nested_in_keys": b"? " * 1_000_000,
    "nested_in_json": b"[" * 100_000 + b"]" * 100_000,
    "nested_in_a_row": listed("- " + "[" * 7 + "]" * 7 + "\n"),
    "a_million_rows_of_numbers": listed("- 1\n" * 1_200_000),
    "a_million_json_lists": b'{"motions": [' + b"[]," * 1_600_000 + b"[]]}",
    "a_million_json_values": b'{"format": 1, "motions": ' + b"[" + b'{"":0},' * 700_000 + b"{}]}",
    "a_scalar_of_5_mb": listed("- " + "x " * 2_500_000),
    "two_documents": b"motions: []\n---\nmotions: []\n",
    "tab_indented": b"motions:\n\t- file: a\n",
    "not_utf8": b"motions: \xff\xfe\xfa\n",
    "directive": b"%YAML 9.9\n---\nmotions: []\n",
    "larger_than_32_mb": listed("# " + "x" * (33 * MEGA)),
    "manifest_of_another_format": manifest().replace(b'"format": 1', b'"format": 99'),
    "manifest_key_unknown": manifest(evil=1),
    "manifest_key_missing": manifest().replace(b'"sha256"', b'"origin"'),
    "manifest_cut": manifest()[:-20],
    "manifest_name_outside": manifest(name="../../x"),
    "manifest_fps_text": manifest(fps="30"),
    "manifest_fps_huge": manifest(fps=1e308),
    "manifest_fps_beyond_floats": spelled("fps", "1e999"),
    "manifest_fps_nan": spelled("fps", "NaN"),
    "manifest_fps_of_4000_digits": spelled("fps", "9" * 4000),
    "manifest_frames_negative": manifest(num_frames=-3),
    "manifest_frames_huge": manifest(num_frames=10**30),
    "manifest_frames_of_4000_digits": spelled("num_frames", "9" * 4000),
    "manifest_weight_of_4000_digits": spelled("weight", "9" * 4000),
    "manifest_weight_of_5000_digits": spelled("weight", "9" * 5000),
    "manifest_half_a_character": spelled("origin", '"\\ud800"'),
    "manifest_origin_a_list": manifest(origin=[1]),
    "manifest_digest_a_number": manifest(sha256=5),
    **NO_FILES,
}  # fmt: skip


def header(tensors: Any) -> bytes:
    text = tensors if isinstance(tensors, bytes) else json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text


def tensor(dtype: Any = "F32", shape: Any = (2,), place: Any = (0, 8)) -> dict[str, Any]:
    return {
        "a": {
            "dtype": dtype,
            "shape": list(shape) if isinstance(shape, tuple) else shape,
            "data_offsets": place,
        }
    }


BODY = bytes(8)
TENSORS: dict[str, bytes | Entry] = {
    "empty": b"",
    "short": b"\1\2\3",
    "text": b"weights\n" * 100,
    "pickle": exploding("true"),
    "zip": b"PK\3\4" + bytes(100),
    "header_huge": struct.pack("<Q", 1 << 60) + b"{}",
    "header_all_ones": b"\xff" * 8 + b"{}",
    "header_longer_than_the_file": struct.pack("<Q", 1000) + b"{}",
    "header_of_5_mb": header(b'{"__metadata__": {"a": "' + b"x" * 5_000_000 + b'"}}'),
    "header_of_many_tensors": header({f"t{i}": tensor(shape=(0,), place=(0, 0))["a"] for i in range(70_000)}),
    "header_nested": header(b"[" * 1_000_000),
    "header_not_json": header(b"{]") + BODY,
    "header_a_list": header([1]) + BODY,
    "header_not_utf8": header(b"\xff\xfe{}") + BODY,
    "name_twice": header(
        json.dumps({**tensor(), "b": tensor(place=(8, 16))["a"]}).replace('"b"', '"a"').encode()
    ) + BODY,
    "dtype_unknown": header(tensor("EVIL")) + BODY,
    "dtype_of_4_bits": header(tensor("F4", (16,))) + BODY,
    "dtype_of_a_scale": header(tensor("F8_E8M0", (8,))) + BODY,
    "dtype_a_number": header(tensor(5)) + BODY,
    "shape_negative": header(tensor(shape=(-2,))) + BODY,
    "shape_huge": header(tensor(shape=(1 << 62,))) + BODY,
    "shape_overflows": header(tensor(shape=(1 << 32, 1 << 32, 2))) + BODY,
    "shape_too_large": header(tensor(shape=(3,))) + BODY,
    "shape_a_text": header(tensor(shape="two")) + BODY,
    "offsets_reversed": header(tensor(place=(8, 0))) + BODY,
    "offsets_beyond": header(tensor(place=(0, 1 << 50))) + BODY,
    "offsets_negative": header(tensor(place=(-8, 0))) + BODY,
    "offsets_one": header(tensor(place=(0,))) + BODY,
    "offsets_overlap": header({**tensor(), "b": tensor()["a"]}) + BODY,
    "hole_between": header({**tensor(), "b": tensor(place=(16, 24))["a"]}) + bytes(24),
    "trailing_bytes": header(tensor()) + BODY + b"evil",
    "metadata_a_number": header({"__metadata__": 5}),
    "keys_missing": header({"a": {"dtype": "F32"}}),
    **NO_FILES,
}  # fmt: skip

VALUES: dict[str, bytes | Entry] = {
    "empty": b"", "text": b"hello", "cut": b'{"a": [1, 2', "nan": b"[NaN]", "infinity": b"[-Infinity]",
    "beyond_floats": b"[1e999]", "5000_digits": b"[" + b"9" * 5000 + b"]", "nested": b"[" * 1_000_000,
    "nested_200": b"[" * 200 + b"]" * 200, "nested_in_objects": b'{"a":' * 200 + b"1" + b"}" * 200,
    "half_a_character": b'"\\udc00"', "not_utf8": b'"\xff\xfe\xfd"', "bom_of_utf32": b"\xff\xfe\0\0" + b"{" * 7,
    "larger_than_256_mib": lambda path: _sparse(path, 300 * MEGA), **NO_FILES,
}  # fmt: skip


def _sparse(path: pathlib.Path, size: int) -> None:
    with path.open("wb") as stream:
        stream.truncate(size)


def put(path: pathlib.Path, content: bytes | Entry) -> None:
    path.write_bytes(content) if isinstance(content, bytes) else content(path)


def naming(
    read: Callable[[pathlib.Path], Any], path: pathlib.Path, named: pathlib.Path | None = None
) -> None:
    try:
        read(path)
    except ParcError as err:
        assert str(named or path) in str(err)
        assert len(str(err)) < len(str(path)) + 2000
        raise


@pytest.mark.parametrize(
    ("kind", "corpus", "reader"),
    [
        ("motion lists and manifests", LISTS, MotionDataset.load),
        ("tensors (safetensors)", TENSORS, storage.read_tensors),
        ("JSON", VALUES, storage.read_json),
    ],
    ids=["lists", "tensors", "json"],
)
def test_hostile_documents_are_refused(kind, corpus, reader, tmp_path: pathlib.Path, measured) -> None:
    reads = {}
    for name, content in corpus.items():
        (tmp_path / name).mkdir()
        put(tmp_path / name / "x.yaml", content)
        reads[name] = partial(naming, reader, tmp_path / name / "x.yaml")
    found = watched_each(reads, refusal=ParcError)
    assert all(len(list((tmp_path / name).iterdir())) == (name != "path_missing") for name in reads)
    measured(f"hostile files, {kind}", figure(found))
    assert faults(found) == []


def test_forty_documents_of_each_kind() -> None:
    assert min(len(LISTS), len(TENSORS)) >= 40


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_a_clip_of_a_manifest_that_is_not_a_file_is_refused_at_once(
    tmp_path: pathlib.Path, kind: str
) -> None:
    NO_FILES[f"path_{kind}"](tmp_path / "a.npz")
    (tmp_path / "motions.yaml").write_bytes(manifest())
    found = watched(lambda: MotionDataset.load(tmp_path / "motions.yaml")[0], refusal=DataError)
    assert faults({kind: found}) == []


# --- packed stores: a folder, whose manifest has a digest that a hostile one has, too


@pytest.fixture
def store(tmp_path: pathlib.Path) -> pathlib.Path:
    entries = []
    for name in ("a", "b"):
        clip = make_clip(20, name=name)
        digest = save_clip(tmp_path / f"{name}.npz", clip)
        entries.append(
            DatasetEntry(
                file=tmp_path / f"{name}.npz",
                name=name,
                motion_class="x",
                num_frames=20,
                fps=30.0,
                digest=digest,
            )
        )
    write_packed_clips(tmp_path / "store", MotionDataset(entries=tuple(entries)))
    return tmp_path / "store"


def change_manifest(store: pathlib.Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the manifest, and state the digest and the sizes that it then has to have."""
    path = store / "packed.json"
    document = json.loads(path.read_text())
    document.pop("digest")
    document = change(document) or document
    if isinstance(document, dict):
        for name, file in document["files"].items() if isinstance(document.get("files"), dict) else ():
            if isinstance(file, dict) and (store / name).is_file():
                file.update(size=(store / name).stat().st_size, sha256=storage.digest_file(store / name))
        document["digest"] = storage.digest_json(document)
    path.write_text(json.dumps(document))


def field(**changed: Any) -> Callable[[pathlib.Path], None]:
    return lambda store: change_manifest(
        store, lambda document: document["fields"]["root_pos"].update(changed)
    )


def key(name: str, value: Any) -> Callable[[pathlib.Path], None]:
    return lambda store: change_manifest(store, lambda document: document.update({name: value}))


def record(**changed: Any) -> Callable[[pathlib.Path], None]:
    return lambda store: change_manifest(store, lambda document: document["meta"]["clips"][0].update(changed))


def file(name: str, content: bytes) -> Callable[[pathlib.Path], None]:
    def replace(store: pathlib.Path) -> None:
        (store / name).write_bytes(content)
        change_manifest(store, lambda document: None)

    return replace


STORES: dict[str, Callable[[pathlib.Path], None]] = {
    "dtype_of_objects": field(dtype="|O"), "dtype_is_code": field(dtype="f4,("), "dtype_of_text": field(dtype="<U3"),
    "dtype_huge": field(dtype="V2000000000"), "dtype_a_number": field(dtype=5), "shape_huge": field(shape=[1 << 62, 3]),
    "shape_negative": field(shape=[-3]), "shape_text": field(shape="abc"), "shape_a_number": field(shape=3),
    "field_unknown": field(evil=1), "group_outside": field(group="../../x"), "group_a_list": field(group=[1]),
    "fields_a_list": key("fields", [1]),
    "fields_outside": key("fields", {"../x": {"dtype": "<f4", "shape": [3], "group": "g"}}),
    "files_missing": key("files", {}), "files_a_number": key("files", 5), "items_huge": key("num_items", 1 << 70),
    "items_negative": key("num_items", -1), "items_text": key("num_items", "x"), "items_more": key("num_items", 3),
    "meta_a_list": key("meta", [1]), "meta_null": key("meta", None), "kind_other": key("kind", "spam"),
    "format_other": key("format", 9), "rows_pickled": file("rows_frames.npy", exploding("true")),
    "rows_of_floats": file("rows_frames.npy", npy(np.zeros(3))),
    "rows_descend": file("rows_frames.npy", npy(np.array([0, 40, 20]))),
    "rows_beyond": file("rows_frames.npy", npy(np.array([0, 20, 1 << 60]))),
    "rows_huge": file("rows_frames.npy", forged_npy(described(f"({1 << 60},)", "'<i8'"), bytes(24))),
    "rows_cut": file("rows_frames.npy", npy(np.array([0, 20, 40]))[:-8]),
    "frames_pickled": file("root_pos.npy", exploding("true")),
    "frames_huge": file("root_pos.npy", forged_npy(described(f"({1 << 60}, 3)"), bytes(480))),
    "frames_cut": file("root_pos.npy", npy(np.zeros((40, 3), np.float32))[:-4]),
    "frames_header_is_code": file("root_pos.npy", forged_npy("__import__('os').system('true')\n", bytes(480))),
    "frames_header_cut": file("root_pos.npy", forged_npy("{'descr': '<f4', 'shape': (", bytes(480))),
    "frames_in_fortran_order": file("root_pos.npy", npy(np.asfortranarray(np.zeros((40, 3), np.float32)))),
    "frames_not_finite": file("root_pos.npy", npy(np.full((40, 3), np.nan, np.float32))),
    "frames_empty": file("root_pos.npy", b""), "record_name_outside": record(clip_name="../../x"),
    "record_fps_huge": record(fps=1e308), "record_fps_text": record(fps="x"), "record_weight_text": record(weight="x"),
    "record_cell_tiny": record(terrain={"shape": [12, 10], "origin_xy": [0, 0], "cell": 1e-300}),
    "record_shape_wrong": record(terrain={"shape": [1 << 40, 10], "origin_xy": [0, 0], "cell": 0.4}),
    "record_provenance_unknown": record(provenance={"evil": 1}), "record_terrain_a_number": record(terrain=5),
    "manifest_missing": lambda store: (store / "packed.json").unlink(),
    "manifest_a_list": lambda store: (store / "packed.json").write_text("[1]"),
    "manifest_damaged": lambda store: (store / "packed.json").write_text("{"),
    "digest_wrong": lambda store: (store / "packed.json").write_text('{"kind": "parc.packed", "format": 1}'),
    "manifest_a_pipe": lambda store: _instead(store / "packed.json", "pipe"),
    "frames_a_pipe": lambda store: _instead(store / "root_pos.npy", "pipe"),
    "rows_a_device": lambda store: _instead(store / "rows_frames.npy", "device"),
}  # fmt: skip


def _instead(path: pathlib.Path, kind: str) -> None:
    path.unlink()
    NO_FILES[f"path_{kind}"](path)


def read_store(store: pathlib.Path) -> None:
    for clip in PackedClips.load(store):
        assert clip.num_frames


def test_hostile_packed_stores_are_refused(store: pathlib.Path, measured) -> None:
    read_store(store)
    reads = {}
    for name, spoil in STORES.items():
        copied = store.with_name(name)
        shutil.copytree(store, copied)
        spoil(copied)
        reads[name] = partial(naming, read_store, copied)
    found = watched_each(reads, refusal=ParcError)
    measured("hostile files, packed stores", figure(found))
    assert len(found) >= 40
    assert faults(found) == []


def mutants(tmp_path: pathlib.Path) -> dict[str, tuple[bytes, Callable[[pathlib.Path], Any]]]:
    storage.write_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(3, 2), "b": torch.ones(4)})
    rows = listed("- file: walk.npz\n  weight: 0.5\n  class: walk\n- {file: 'run.npz', weight: 1e-3}\n")
    return {
        "motion lists (YAML)": (rows, read_motion_list),
        "manifests (JSON)": (manifest(), read_motion_list),
        "tensors (safetensors)": ((tmp_path / "x.safetensors").read_bytes(), storage.read_tensors),
    }


def test_mutated_documents_are_read_or_refused(tmp_path: pathlib.Path, measured) -> None:
    for number, (kind, (good, reader)) in enumerate(mutants(tmp_path).items()):
        rng, path = random.Random(number), tmp_path / "x.yaml"
        refused, count, slowest = 0, 0, 0.0
        for _ in rounds(pr=1000, nightly=100_000, at_most_s=200):
            path.write_bytes(damaged(good, rng))
            started, count = time.process_time(), count + 1
            try:
                reader(path)
            except ParcError as err:
                refused += 1
                assert str(path) in str(err)
            slowest = max(slowest, time.process_time() - started)
        measured(
            f"mutated files, {kind}",
            f"{count}, {refused} refused, the others read; at most {slowest:.2f} s CPU",
        )
        assert slowest < MAX_CPU_S
        assert 0.2 * count < refused < count
