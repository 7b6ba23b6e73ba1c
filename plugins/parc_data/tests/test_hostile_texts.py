"""Hostile text files (BVH, ASF/AMC, DeepMimic, boxes, sidecars) and arrays of joints: each is refused, or read."""

from __future__ import annotations

import json
import pathlib
import sys
import zipfile
from functools import partial
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "libs" / "parc_motion" / "tests"))
from hostile_arrays import NO_FILES, archive, described, exploding, forged_npy, many_members, npy, zeros
from test_hostile_pickles_watched import is_the_child
from test_pickles_and_texts_mutated import FRAME
from test_text_formats_damaged import AMC, ASF, BVH

from parc_data.command.import_files import import_files
from parc_data.formats.detect import detect, find_format
from parc_data.formats.format import ReadOptions
from parc_motion.errors import ParcError
from parc_testing.watching import faults, figure, watched, watched_each

Files = dict[str, Any]  # by name; the first is the one that is read


def bvh(old: bytes = b"", new: bytes = b"") -> Files:
    assert old in BVH
    return {"x.bvh": BVH.replace(old, new, 1) if old else new}


def asf(old: bytes, new: bytes) -> Files:
    assert old in ASF
    return {"x.amc": AMC, "x.asf": ASF.replace(old, new, 1) if old else new}


def amc(old: bytes, new: bytes) -> Files:
    assert old in AMC
    return {"x.amc": AMC.replace(old, new, 1) if old else new, "x.asf": ASF}


def deepmimic(tree: Any) -> Files:
    return {"x.txt": tree if isinstance(tree, bytes) else json.dumps(tree).encode()}


def joints(said: Any = None, positions: Any = None, suffix: str = "json", obj: bytes | None = None) -> Files:
    array = np.random.default_rng(0).random((20, 4, 3)) if positions is None else positions
    text = (
        {"joint_names": ["a", "b", "c", "d"], "parents": [-1, 0, 1, 2], "fps": 30} if said is None else said
    )
    files = {"x.npy": array if isinstance(array, bytes) else npy(array)}
    files[f"x.{suffix}"] = text if isinstance(text, bytes) else json.dumps(text).encode()
    return files if obj is None else {**files, "x.obj": obj}


def npz(**arrays: Any) -> Files:
    members = {f"{name}.npy": one if isinstance(one, bytes) else npy(one) for name, one in arrays.items()}
    return {"x.npz": archive(members)}


NUMBERS = b"0 90 0 1 2 3 1 2 3 0 -83 0 5 5 5"
POSES: dict[str, Any] = {"poses": np.zeros((5, 72)), "trans": np.zeros((5, 3)), "mocap_framerate": 30.0}
TEXTS: dict[str, tuple[str, Files]] = {
    # BVH
    "bvh_empty": ("bvh", bvh(b"", b"")), "bvh_nulls": ("bvh", bvh(b"", b"\0" * 100_000)),
    "bvh_of_5_mb_of_words": ("bvh", bvh(b"", b"HIERARCHY\n" + b"a " * 2_500_000)),
    "bvh_of_5_mb_of_braces": ("bvh", bvh(b"HIERARCHY", b"HIERARCHY\n" + b"{ " * 2_500_000)),
    "bvh_joints_5000_deep": ("bvh", bvh(b" JOINT LeftUpLeg\n", b"JOINT a\n{\nOFFSET 0 0 0\nCHANNELS 0\n" * 5000)),
    "bvh_50_000_joints": ("bvh", bvh(b" JOINT LeftUpLeg\n", b"JOINT a { OFFSET 0 0 0 CHANNELS 0 }\n" * 50_000)),
    "bvh_a_million_channels": ("bvh", bvh(b"CHANNELS 3", b"CHANNELS 1000000")),
    "bvh_channels_negative": ("bvh", bvh(b"CHANNELS 3", b"CHANNELS -3")),
    "bvh_channel_unknown": ("bvh", bvh(b"CHANNELS 3 Zrotation", b"CHANNELS 3 Wrotation")),
    "bvh_channel_twice": ("bvh", bvh(b"CHANNELS 3 Zrotation Xrotation", b"CHANNELS 3 Xrotation Xrotation")),
    "bvh_offset_nan": ("bvh", bvh(b"OFFSET 10 0 0", b"OFFSET nan 0 0")),
    "bvh_offset_huge": ("bvh", bvh(b"OFFSET 10 0 0", b"OFFSET 1e300 0 0")),
    "bvh_offset_of_digits": ("bvh", bvh(b"OFFSET 10 0 0", b"OFFSET " + b"9" * 100_000 + b" 0 0")),
    "bvh_frames_huge": ("bvh", bvh(b"Frames: 3", b"Frames: 99999999999")),
    "bvh_frames_of_digits": ("bvh", bvh(b"Frames: 3", b"Frames: " + b"9" * 100_000)),
    "bvh_frames_negative": ("bvh", bvh(b"Frames: 3", b"Frames: -3")),
    "bvh_frames_more": ("bvh", bvh(b"Frames: 3", b"Frames: 1000000")),
    "bvh_time_zero": ("bvh", bvh(b"0.0333333", b"0")), "bvh_time_nan": ("bvh", bvh(b"0.0333333", b"nan")),
    "bvh_time_tiny": ("bvh", bvh(b"0.0333333", b"1e-300")), "bvh_time_huge": ("bvh", bvh(b"0.0333333", b"1e300")),
    "bvh_number_nan": ("bvh", bvh(NUMBERS, NUMBERS.replace(b"90", b"nan"))),
    "bvh_number_infinite": ("bvh", bvh(NUMBERS, NUMBERS.replace(b"90", b"1e999"))),
    "bvh_number_missing": ("bvh", bvh(NUMBERS, NUMBERS[:-2])),
    "bvh_5_mb_of_numbers": ("bvh", bvh(NUMBERS, b"0 " * 2_500_000)),
    "bvh_numbers_of_digits": ("bvh", bvh(NUMBERS, b"9" * 5_000_000)),
    "bvh_without_motion": ("bvh", bvh(b"MOTION", b"")), "bvh_utf16": ("bvh", bvh(b"", BVH.decode().encode("utf-16"))),
    "bvh_name_of_1_mb": ("bvh", bvh(b"LeftUpLeg", b"x" * 1_000_000)),
    "bvh_blanks": ("bvh", bvh(b"MOTION", b" " * 5_000_000)),
    "bvh_motions": ("bvh", bvh(b"MOTION", b"MOTION Frames: " * 300_000)),
    # ASF
    "asf_empty": ("asf_amc", asf(b"", b"")), "asf_missing": ("asf_amc", {"x.amc": AMC}),
    "asf_of_5_mb_of_lines": ("asf_amc", asf(b":root", b"a\n" * 2_500_000)),
    "asf_of_500_kb_of_lines": ("asf_amc", asf(b":root", b"a\n" * 260_000)),
    "asf_many_bones": ("asf_amc", asf(b":bonedata", b":bonedata\n" + b"".join(
        b"begin\nname b%d\ndirection 0 0 1\nlength 1\naxis 0 0 0 XYZ\nend\n" % i for i in range(9_000)))),
    "asf_circle": ("asf_amc", asf(b"root lfemur", b"lfoot lfemur")),
    "asf_bone_of_itself": ("asf_amc", asf(b"lfemur ltibia", b"ltibia ltibia")),
    "asf_unit_zero": ("asf_amc", asf(b"length 0.45", b"length 0")),
    "asf_unit_nan": ("asf_amc", asf(b"length 0.45", b"length nan")),
    "asf_unit_tiny": ("asf_amc", asf(b"length 0.45", b"length 1e-300")),
    "asf_length_nan": ("asf_amc", asf(b"length 7.5", b"length nan")),
    "asf_direction_zero": ("asf_amc", asf(b"direction 0 -1 0", b"direction 0 0 0")),
    "asf_direction_huge": ("asf_amc", asf(b"direction 0 -1 0", b"direction 0 1e300 0")),
    "asf_axis_unknown": ("asf_amc", asf(b"axis 0 0 20 XYZ", b"axis 0 0 20 ABC")),
    "asf_dof_unknown": ("asf_amc", asf(b"dof rx ry rz", b"dof rw")),
    "asf_dof_twice": ("asf_amc", asf(b"dof rx ry rz", b"dof rx rx rx")),
    "asf_order_empty": ("asf_amc", asf(b"order TX TY TZ RX RY RZ", b"order")),
    "asf_a_pipe": ("asf_amc", {"x.amc": AMC, "x.asf": NO_FILES["path_pipe"]}),
    "asf_a_device": ("asf_amc", {"x.amc": AMC, "x.asf": NO_FILES["path_device"]}),
    # AMC
    "amc_empty": ("asf_amc", amc(b"", b"")), "amc_nulls": ("asf_amc", amc(b"", b"\0" * 100_000)),
    "amc_of_5_mb_of_numbers": ("asf_amc", amc(b"ltibia 5\n", b"1 " * 2_500_000)),
    "amc_of_5_mb_of_lines": ("asf_amc", amc(b"ltibia 5\n", b"1\n" * 2_500_000)),
    "amc_of_many_frames": ("asf_amc", amc(b"1\nroot", b"1\nroot 1 17 3 4 5 6\nlfemur 1 2 3\nltibia 5\n" * 100_000)),
    "amc_of_keywords": ("asf_amc", amc(b":DEGREES", b":DEGREES\n" * 500_000)),
    "amc_number_nan": ("asf_amc", amc(b"ltibia 5\n", b"ltibia nan\n")),
    "amc_number_huge": ("asf_amc", amc(b"ltibia 5\n", b"ltibia 1e300\n")),
    "amc_number_of_digits": ("asf_amc", amc(b"ltibia 5\n", b"ltibia " + b"9" * 4_000_000 + b"\n")),
    "amc_frame_of_digits": ("asf_amc", amc(b"\n1\n", b"\n" + b"9" * 4_000_000 + b"\n")),
    "amc_frame_twice": ("asf_amc", amc(b"\n2\n", b"\n1\n")), "amc_bone_unknown": ("asf_amc", amc(b"ltibia", b"evil")),
    "amc_cut": ("asf_amc", amc(b"ltibia 5e-1\n", b"")),
    # DeepMimic
    "deepmimic_nested": ("deepmimic", deepmimic(b'{"Frames":' + b"[" * 1_000_000)),
    "deepmimic_nan": ("deepmimic", deepmimic(b'{"Loop":"wrap","Frames":[[NaN]]}')),
    "deepmimic_2_mb_of_lists": ("deepmimic", deepmimic(b'{"Frames":[' + b"[]," * 600_000 + b"[]]}")),
    "deepmimic_ragged": ("deepmimic", deepmimic({"Loop": "wrap", "Frames": [FRAME, FRAME[:-1]]})),
    "deepmimic_long_frame": ("deepmimic", deepmimic({"Loop": "wrap", "Frames": [[1e300, *FRAME[1:]]] * 3})),
    "deepmimic_short_frame": ("deepmimic", deepmimic({"Loop": "wrap", "Frames": [FRAME, [1e-9, *FRAME[1:]], FRAME]})),
    "deepmimic_digits": ("deepmimic", deepmimic(b'{"Loop":"wrap","Frames":[[' + b"9" * 5000 + b"]]}")),
    "deepmimic_loop_a_list": ("deepmimic", deepmimic({"Loop": [[[]]], "Frames": [FRAME] * 3})),
    # joints: arrays, sidecars, boxes
    "joints_pickled": ("joints", joints(positions=exploding("true"))),
    "joints_huge": ("joints", joints(positions=forged_npy(described(f"({1 << 60}, 4, 3)", "'<f8'"), bytes(96)))),
    "joints_header_is_code": ("joints", joints(positions=forged_npy("__import__('os').system('true')\n"))),
    "joints_nan": ("joints", joints(positions=np.full((20, 4, 3), np.nan))),
    "joints_far": ("joints", joints(positions=np.full((20, 4, 3), 1e200))),
    "joints_of_text": ("joints", joints(positions=np.full((20, 4, 3), "1"))),
    "joints_2000": ("joints", joints(positions=np.zeros((2, 2000, 3)))),
    "sidecar_nested": ("joints", joints(b"[" * 200_000)), "sidecar_a_list": ("joints", joints([1])),
    "sidecar_nan": ("joints", joints(b'{"fps": NaN}')),
    "sidecar_digits": ("joints", joints(b'{"fps": ' + b"9" * 5000 + b"}")),
    "sidecar_fps_huge": ("joints", joints({"fps": 1e308})), "sidecar_fps_tiny": ("joints", joints({"fps": 1e-300})),
    "sidecar_scale_zero": ("joints", joints({"fps": 30, "scale": 0})),
    "sidecar_parents_circle": ("joints", joints({"fps": 30, "joint_names": list("abcd"), "parents": [1, 0, 3, 2]})),
    "sidecar_parents_huge": ("joints", joints({"fps": 30, "joint_names": list("abcd"), "parents": [-1, 10**40, 0, 0]})),
    "sidecar_names_nested": ("joints", joints({"fps": 30, "joint_names": [[[[]]]]})),
    "sidecar_of_1_mb": ("joints", joints(b" " * 1_000_000)),
    "sidecar_yaml_laughs": ("joints", joints(b"a: &a [x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b]\n", suffix="yaml")),
    "sidecar_yaml_tag": ("joints", joints(b"fps: !!python/object/apply:os.system ['true']\n", suffix="yaml")),
    "sidecar_a_pipe": ("joints", {"x.npy": npy(np.zeros((5, 4, 3))), "x.json": NO_FILES["path_pipe"]}),
    "boxes_of_5_mb": ("joints", joints(obj=b"v 0 0 0\n" * 600_000)),
    "boxes_nan": ("joints", joints(obj=b"v nan 0 0\n" * 8 + b"f 1 2 3\n")),
    "boxes_face_outside": ("joints", joints(obj=b"v 0 0 0\nf 1 99999999999999999999 3\n")),
    "boxes_face_of_digits": ("joints", joints(obj=b"v 0 0 0\nf " + b"9" * 100_000 + b"\n")),
    "boxes_a_device": ("joints", {**joints(), "x.obj": NO_FILES["path_device"]}),
    "joints_archive_bomb": ("joints", npz(positions=zeros(20 << 20), fps=30)),
    "joints_archive_of_many": ("joints", {"x.npz": many_members(100_000)}),
    "joints_archive_pickled": ("joints", npz(positions=np.zeros((5, 4, 3)), joint_names=exploding("true"), fps=30)),
    "joints_archive_names_bytes": (
        "joints", npz(positions=np.ones((5, 4, 3)), joint_names=np.full(4, b"\xff"), fps=30)
    ),
    # AMASS
    "amass_bomb": ("amass", npz(**{**POSES, "poses": zeros(20 << 20)})),
    "amass_pickled": ("amass", npz(**{**POSES, "trans": exploding("true")})),
    "amass_rate_nan": ("amass", npz(**{**POSES, "mocap_framerate": np.nan})),
    "amass_rate_text": ("amass", npz(**{**POSES, "mocap_framerate": "fast"})),
    "amass_huge": ("amass", npz(**{**POSES, "poses": np.full((5, 72), 1e308)})),
    "amass_encrypted": ("amass", {"x.npz": archive({f"{n}.npy": npy(v) for n, v in POSES.items()}).replace(
        b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0")}),
    "amass_lzma": ("amass", {"x.npz": archive({f"{n}.npy": npy(v) for n, v in POSES.items()}, zipfile.ZIP_LZMA)}),
    # CSV of a robot
    "csv_of_the_g1": ("g1", {"x.csv": (b",".join([b"0"] * 36) + b"\n") * 100}),
    "csv_of_one_line": ("g1", {"x.csv": b"0," * 2_000_000}),
}  # fmt: skip
KINDS = ("bvh", "asf_amc", "deepmimic", "joints", "amass", "parc_ms", "mimickit", "amp")
CORPUS: dict[str, tuple[str, Files]] = {
    **TEXTS, **{f"{kind}_{name}": (kind, {"x.bin": entry}) for kind in KINDS for name, entry in NO_FILES.items()},
}  # fmt: skip
# odd, but the format allows it, and what comes out is finite
READABLE = {
    "joints_archive_names_bytes", "bvh_blanks", "bvh_channel_twice", "asf_unit_tiny", "asf_direction_zero",
    "amc_of_keywords",
}  # fmt: skip


def write(folder: pathlib.Path, files: Files) -> pathlib.Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content) if isinstance(content, bytes) else content(folder / name)
    return folder / next(iter(files))


def read(format_name: str, path: pathlib.Path) -> None:
    """What an import does with the file: recognize it, and read it as what it claims to be."""
    reader = find_format(format_name)
    try:
        detect(path)
        for motion in reader.read(path, ReadOptions()):
            assert np.abs(motion.root_pos).max() < 1e6
    except ParcError as err:
        assert str(path.parent) in str(err)
        assert len(str(err)) < len(str(path)) + 1500, str(err)
        raise


def test_hostile_texts_and_arrays_are_refused(tmp_path: pathlib.Path, measured) -> None:
    for kind in KINDS:
        find_format(kind)  # imported once, not in every process
    reads = {}
    for name, (kind, files) in CORPUS.items():
        reads[name] = partial(read, kind, write(tmp_path / name, files))
    found = watched_each(reads, refusal=ParcError, allowed=is_the_child)
    for name, (_, files) in CORPUS.items():
        assert len(list((tmp_path / name).iterdir())) == len(files) - name.endswith("path_missing")
    measured("hostile files, importers (BVH, ASF/AMC, JSON, joints, AMASS)", figure(found))
    assert (
        min(sum(kind == one for one, _ in CORPUS.values()) for kind in ("bvh", "asf_amc", "joints")) >= 40
        or len(TEXTS) >= 100
    )
    assert faults(found, lambda name: name not in READABLE) == []


def test_one_hostile_file_of_a_folder_is_a_row_and_the_others_are_imported(tmp_path: pathlib.Path) -> None:
    """Of each kind the small ones, each with what belongs to it, in a folder together with a sound file."""
    names = [
        name for name, (kind, files) in TEXTS.items() if kind in ("bvh", "asf_amc") and name not in READABLE
    ]
    names = [
        name
        for name in names
        if sum(len(one) for one in TEXTS[name][1].values() if isinstance(one, bytes)) < 20_000
    ]
    (tmp_path / "in").mkdir()
    for name in names:
        write(tmp_path / "in" / name, TEXTS[name][1])
    write(tmp_path / "in" / "sound", {"sound.bvh": BVH})
    listed = sorted(tmp_path.rglob("*.[ab][mv][ch]"))
    assert len(listed) == len(names) + 1
    told = json.loads(import_all(tmp_path / "in", tmp_path / "out"))
    assert told["exit"] == 65, told
    assert [clip["clip"] for clip in told["clips"]] == ["sound"]
    unread = [path for path in listed if not any(str(path.parent) in text for text in told["failed"])]
    # what does not even look like a motion is passed over in a folder
    assert {path.parent.name for path in unread} - {"bvh_empty", "bvh_nulls", "bvh_utf16"} == {"sound"}


def import_all(folder: pathlib.Path, output: pathlib.Path) -> str:
    done = CliRunner().invoke(import_files, [str(folder), "-o", str(output), "--json", "--retarget", "auto"])
    return json.dumps(
        {"exit": done.exit_code, **json.loads(done.stdout or "{}"), "raised": repr(done.exception)}
    )


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_not_a_file_is_not_waited_for_by_the_verb(tmp_path: pathlib.Path, kind: str) -> None:
    NO_FILES[f"path_{kind}"](tmp_path / "x.bvh")

    def run() -> None:
        for words in ([], ["--format", "bvh"], ["--format", "joints"], ["--format", "parc_ms"]):
            done = CliRunner().invoke(
                import_files, [str(tmp_path / "x.bvh"), "-o", str(tmp_path / "out"), *words]
            )
            assert isinstance(done.exception, ParcError), done.exception
            assert not (tmp_path / "out").exists()

    one = watched(run, refusal=ParcError, inside=tmp_path)
    assert faults({kind: one}, lambda name: False) == []
