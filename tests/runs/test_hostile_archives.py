"""Hostile results of jobs: nothing is written outside the run folder, and each is refused with one clear error."""

from __future__ import annotations

import io
import json
import pathlib
import pickle
import random
import shutil
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from parc_core.cli.main import main
from parc_core.runner.transport import MAX_BYTES, import_result
from parc_motion.errors import ParcError
from parc_motion.storage import digest_folder, read_file
from parc_testing.damage import damaged
from parc_testing.levels import rounds
from parc_testing.watching import Watched, faults, figure, watched_each

RUN = "runs/quick"
PLACE = "iter_001/p2_kin_gen/motions_0_1/"
RECORD = PLACE + "DONE.json"
Members = dict[str, bytes]
# nothing in these does harm: what is not part of a finished job is left behind
READABLE = {
    "unmodified", "more_files", "other_settings_beside", "locks_beside", "zip_within", "prefix_before_the_archive",
    "unicode_name", "folder_entry", "folder_outside_alone",
}  # fmt: skip


def zipped(
    members: Members, method: int = zipfile.ZIP_STORED, mode: int = 0, system: int | None = None
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo("x")
            entry.filename, entry.compress_type = name, method
            entry.external_attr = mode << 16
            if system is not None:
                entry.create_system = system
            archive.writestr(entry, content)
    return buffer.getvalue()


def patched(data: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    at = data.rfind(signature) + offset
    return data[:at] + value + data[at + len(value) :]


def listing_again(data: bytes, count: int) -> bytes:
    """The archive with its directory repeated."""
    start, end = data.find(b"PK\1\2"), data.rfind(b"PK\5\6")
    size = struct.pack("<I", (end - start) * count)
    return data[:start] + data[start:end] * count + patched(data[end:], b"PK\5\6", 12, size)


def tar_of(members: Members) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def corpus(good: Members, outside: pathlib.Path, bomb_bytes: int = 80 << 20) -> dict[str, bytes]:
    """Hostile archives by name."""
    record = json.loads(good[RECORD])
    sound, packed = zipped(good), zipped(good, zipfile.ZIP_DEFLATED)
    entry, end = b"PK\1\2", b"PK\5\6"

    def plus(*names: str, content: bytes = b"evil", **options: Any) -> bytes:
        return zipped({**good, **dict.fromkeys(names, content)}, **options)

    def link(name: str, target: str, *more: str) -> bytes:
        made = zipped({name: target.encode()}, mode=stat.S_IFLNK | 0o777, system=3)
        return _joined(made, zipped({**good, **dict.fromkeys(more, b"evil")}))

    def stated(change: Callable[[dict[str, Any]], Any]) -> bytes:
        changed = json.loads(json.dumps(record))
        changed = change(changed) or changed
        return zipped({**good, RECORD: json.dumps(changed).encode()})

    def listed(name: str) -> bytes:
        return stated(lambda document: document["files"].update({name: {"sha256": "0" * 64, "size": 1}}))

    zeros = bytes(bomb_bytes)
    return {
        "unmodified": sound,
        # names
        "outside": plus("../outside.txt"), "outside_from_within": plus(f"{PLACE}../../../../outside.txt"),
        "outside_deep": plus("../" * 60 + str(outside).lstrip("/") + "/outside.txt"),
        "absolute": plus(f"{outside}/outside.txt"), "absolute_twice": plus(f"//{outside}/outside.txt"),
        "backslashes": plus("..\\..\\outside.txt"), "drive": plus("C:\\outside.txt"), "dots": plus(".."),
        "dot": plus("."), "dot_within": plus(f"{PLACE}./x"), "slash_twice": plus(f"{PLACE}/x"), "no_name": plus(""),
        "blank_begin": plus("./../outside.txt"), "null": plus("a\0/../../outside.txt"), "new_line": plus("a\nb"),
        "escape": plus("a\x1b[31mb"), "right_to_left": plus("a\u202eb"), "half_character": _cp437_name(good),
        "unicode_name": plus("iter_001/übung/été.txt"), "name_of_300": plus("x" * 300),
        "name_of_5000": plus("/".join(["x" * 99] * 50)), "thousand_folders": plus("a/" * 1000 + "x"),
        "file_in_a_file": plus(f"{RECORD}/x"), "file_that_is_a_folder": plus("iter_001"),
        "name_twice": _joined(zipped({RECORD: b"{}"}), sound), "name_of_many": _joined(sound, sound),
        "folder_entry": plus("folder/", content=b""), "folder_outside_alone": plus("../folder/", content=b""),
        # kinds
        "link": link("link", "/etc/passwd"), "link_to_a_folder": link("link", str(outside), "link/outside.txt"),
        "link_up": link(PLACE + "up", "../../../..", PLACE + "up/outside.txt"),
        "device": plus("null", mode=stat.S_IFCHR | 0o666, system=3), "pipe": plus("pipe", mode=stat.S_IFIFO, system=3),
        "socket": plus("socket", mode=stat.S_IFSOCK, system=3), "set_user_id": _joined(
            zipped({PLACE + "x": b"#!/bin/sh"}, mode=stat.S_IFLNK | 0o4777, system=3), sound),
        # sizes
        "bomb": zipped({**good, "zeros": zeros}, zipfile.ZIP_DEFLATED),
        "bomb_of_10_gb_stated": patched(packed, entry, 24, struct.pack("<I", 0xFFFFFFFE)),
        "bomb_in_the_record": zipped({**good, RECORD: b" " * bomb_bytes}, zipfile.ZIP_DEFLATED),
        "a_million_entries": listing_again(zipped({"a": b""}), 1_000_000),
        "70_000_entries": listing_again(zipped({"a": b""}), 70_000),
        "size_too_small": patched(sound, entry, 24, b"\1\0\0\0"),
        "size_too_large": patched(packed, entry, 24, b"\0\0\1\0"),
        "zip_within": plus("inner.zip", content=sound),
        # damage
        "empty_file": b"", "no_archive": b"result\n" * 100, "pickle": pickle.dumps({"a": 1}), "tar": tar_of(good),
        "empty_archive": zipped({}), "cut": sound[: len(sound) // 2], "cut_at_the_end": sound[:-1],
        "prefix_before_the_archive": b"#!/bin/sh\nexit 1\n" + sound,
        "comment": patched(sound, end, 20, b"\4\0") + b"evil",
        "long_form": sound[:-22] + b"PK\6\7" + bytes(16) + sound[-22:], "encrypted": patched(sound, entry, 8, b"\1\0"),
        "lzma": zipped(good, zipfile.ZIP_LZMA), "bzip2": zipped(good, zipfile.ZIP_BZIP2),
        "method_unknown": patched(sound, entry, 10, b"\x63\0"), "checksum": patched(packed, entry, 16, b"\1\2\3\4"),
        "directory_elsewhere": patched(sound, end, 16, b"\xff\xff\xff\x7f"),
        "directory_too_large": patched(sound, end, 12, b"\xff\xff\xff\x7f"),
        "member_elsewhere": patched(sound, entry, 42, b"\xff\xff\xff\x7f"),
        "extra_field": patched(sound, entry, 30, b"\xff\xff"),
        # what else is in it
        "more_files": plus(PLACE + "evil.txt"), "other_settings_beside": plus("config.yaml", content=b"name: evil\n"),
        "locks_beside": plus("locks/p2_kin_gen-motions_0_1.1.lease"),
        "clip_replaced": zipped({name: b"evil" if name.endswith(".npz") else one for name, one in good.items()}),
        "record_missing": zipped({name: one for name, one in good.items() if name != RECORD}),
        "record_a_list": stated(lambda document: [1]), "record_a_text": stated(lambda document: "done"),
        "record_of_another_format": stated(lambda document: document.update(format=99)),
        "record_field_missing": stated(lambda document: document.pop("key")),
        "record_field_unknown": stated(lambda document: document.update(evil=1)),
        "record_key_a_list": stated(lambda document: document.update(key_fields=[1])),
        "record_files_a_list": stated(lambda document: document.update(files=[1])),
        "record_file_a_number": stated(lambda document: document.update(files={"a.npz": 5})),
        "record_digest_a_list": stated(lambda document: document.update(files={"a.npz": {"sha256": []}})),
        "record_lists_a_file_outside": listed("../../../../../../../../etc/passwd"),
        "record_lists_an_absolute_file": listed("/etc/passwd"), "record_lists_a_device": listed("/dev/zero"),
        "record_lists_nothing_there": listed("b.npz"), "record_nested": zipped({**good, RECORD: b"[" * 100_000}),
        "record_not_a_number": zipped({**good, RECORD: good[RECORD].replace(b'"wall_s": ', b'"wall_s": NaN, "x": ')}),
        "record_of_other_settings": stated(lambda document: document["key_fields"].update(seed=-1)),
    }  # fmt: skip


def _joined(one: bytes, other: bytes) -> bytes:
    """One archive with the entries of both, as they are."""
    start, end = other.find(b"PK\1\2"), other.rfind(b"PK\5\6")
    first, last = one.find(b"PK\1\2"), one.rfind(b"PK\5\6")
    entries, at = bytearray(other[start:end]), 0
    while at < len(entries):
        (place,) = struct.unpack_from("<I", entries, at + 42)
        struct.pack_into("<I", entries, at + 42, place + first)
        at += 46 + sum(struct.unpack_from("<HHH", entries, at + 28))
    directory = one[first:last] + bytes(entries)
    stated = struct.pack("<II", len(directory), first + start)
    return one[:first] + other[:start] + directory + patched(other[end:], b"PK\5\6", 12, stated)


def _cp437_name(good: Members) -> bytes:
    """A member whose name is marked as UTF-8 and is not."""
    return zipped({**good, "iter_001/ä": b"evil"}).replace("iter_001/ä".encode(), b"iter_001/\xff\xfe")


@pytest.fixture
def result(parc, home) -> Members:
    """The members of a sound result, which the run does not have yet."""
    assert parc("quick.yaml", "--only", "train_gen")[0] == 0
    for words in (
        ("export", RUN, "--stage", "kin_gen", "--part", "0", "-o", "g.zip"), ("run", "g.zip"),
    ):  # fmt: skip
        with pytest.raises(SystemExit) as ended:
            main(["job", *words])
        assert ended.value.code == 0
    with zipfile.ZipFile(home / "g.result.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def examined(home: pathlib.Path, archives: dict[str, bytes]) -> tuple[dict[str, Watched], list[str]]:
    """The import of each archive into a copy of the run of its own, and which copies are not as before."""
    copies, before = home / "copies", digest_folder(home / RUN)
    reads = {}
    for name, data in archives.items():
        (copies / name).mkdir(parents=True)
        (copies / name / "r.zip").write_bytes(data)
        shutil.copytree(home / RUN, copies / name / "run")
        reads[name] = partial(imported, copies / name)
    others = set(home.iterdir())
    found = watched_each(reads, refusal=ParcError, inside=copies)
    assert set(home.iterdir()) == others
    assert {path.name for path in copies.iterdir()} == set(archives)
    changed = []
    for name in archives:
        assert sorted(path.name for path in (copies / name).iterdir()) == ["r.zip", "run"]
        left = list((copies / name / "run").glob("import-*"))
        if left or digest_folder(copies / name / "run") != before:
            changed.append(name)
    shutil.rmtree(copies)
    return found, changed


def imported(place: pathlib.Path) -> None:
    import_result(place / "run", read_file(place / "r.zip", MAX_BYTES))


def test_hostile_results_of_jobs_are_refused(home, result, measured):
    outside = home / "elsewhere"
    outside.mkdir()
    found, changed = examined(home, corpus(result, outside))
    measured("hostile files, archives (results of jobs)", figure(found))
    assert len(found) >= 40
    assert "\n".join(faults(found, lambda name: name not in READABLE)) == ""
    refused = [name for name, one in found.items() if one.ending == "refused"]
    assert not set(refused) & set(changed), "a refused archive left something in the run folder"
    assert list(outside.iterdir()) == []
    assert found["unmodified"].ending == "read" and "unmodified" in changed
    mutate(home, result, outside, measured)


def mutate(home: pathlib.Path, result: Members, outside: pathlib.Path, measured) -> None:
    """Random damage to the sound archive and to the small ones of the corpus."""
    rng, found, sound = random.Random(3), {}, zipped(result)
    hostile = [one for one in corpus(result, outside, bomb_bytes=100).values() if len(one) < 1 << 20]
    for batch in rounds(pr=1, nightly=250):
        archives = {f"{batch} {k}": damaged(rng.choice([sound, rng.choice(hostile)]), rng) for k in range(40)}
        found.update(examined(home, archives)[0])
    measured("mutated files, archives (results of jobs)", figure(found))
    assert faults(found, lambda name: False) == []
    assert sum(one.ending == "refused" for one in found.values()) > len(found) // 4
    assert list(outside.iterdir()) == []
