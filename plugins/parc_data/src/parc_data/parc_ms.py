"""Motion-terrain files of the published PARC (.pkl).

Source: published PARC implementation. A file is a pickled dict of three separately pickled sections (motion, terrain,
extras). Nothing is unpickled here: `unpickle_child` does it in a process of its own and hands back plain arrays.
"""

from __future__ import annotations

import glob
import io
import json
import logging
import pathlib
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

from parc_core.config import setting
from parc_core.data.clip import MotionClip, Provenance
from parc_core.data.path import Path, SegmentKind
from parc_core.data.seeds import SeedStreams
from parc_core.data.skeleton import Skeleton
from parc_core.data.terrain import Terrain
from parc_core.errors import DataError
from parc_core.interfaces.motion_source import MotionSource

__all__ = ["PublishedConfig", "PublishedSource", "read_published"]

log = logging.getLogger(__name__)

_CHILD = pathlib.Path(__file__).with_name("unpickle_child.py")
_MAX_FILE_BYTES = 256 << 20
_MAX_ARRAY_BYTES = 512 << 20
_MEMORY_BYTES = 1 << 30
_CPU_S = 20
_WALL_S = 60.0
_DEFAULT_CLASS = "parkour"


@attrs.frozen(kw_only=True)
class PublishedConfig:
    """Settings of `parc_ms`."""

    path: str = setting(
        path=True, help="a .pkl file, a folder (searched recursively) or a glob pattern; ~ is expanded"
    )
    cut_s: tuple[float, float] | None = setting(
        None, unit="s", help="keep only this window of time of every motion; the name tells it"
    )
    motion_class: str | None = setting(
        None, help="class of every clip; none: the name of the folder, 'parkour' for a file or pattern"
    )


class PublishedSource(MotionSource):
    """Clips of published motion-terrain files; the file's stem is the clip's name."""

    def __init__(self, config: PublishedConfig, *, skeleton: Skeleton, seeds: SeedStreams) -> None:
        self.config = config
        self.skeleton = skeleton

    def clips(self) -> Iterator[MotionClip]:
        """The clips, files sorted by path."""
        seen: dict[str, pathlib.Path] = {}
        for file in _files(self.config.path):
            if file.stem in seen:
                raise DataError(
                    f"{file}: another file, {seen[file.stem]}, gives a clip of the same name '{file.stem}'. Rename one."
                )
            seen[file.stem] = file
            clip = read_published(file, self.skeleton, self._class_of(file))
            yield clip if self.config.cut_s is None else _cut(clip, self.config.cut_s, file)

    def _class_of(self, file: pathlib.Path) -> str:
        if self.config.motion_class is not None:
            return self.config.motion_class
        return file.parent.name if pathlib.Path(self.config.path).expanduser().is_dir() else _DEFAULT_CLASS


def read_published(file: pathlib.Path, skeleton: Skeleton, motion_class: str) -> MotionClip:
    """The clip in a published motion-terrain file.

    Raises:
        DataError: the file is damaged, hostile or not of that kind, or belongs to another character.
    """
    arrays, header = _read_in_child(file)
    for warning in header["warnings"]:
        log.warning("%s: %s", file, warning)
    try:
        clip = _assemble(arrays, header, file, skeleton, motion_class)
        clip.require_skeleton(skeleton.id, skeleton.num_joints)
    except (KeyError, TypeError, ValueError, IndexError) as err:
        raise DataError(f"{file}: its arrays do not fit together: {err}.") from err
    except DataError as err:
        raise type(err)(f"{file}: {err}") from err
    return clip


def _files(pattern: str) -> list[pathlib.Path]:
    path = pathlib.Path(pattern).expanduser()
    if path.is_dir():
        files = sorted(path.rglob("*.pkl"))
    elif path.exists():
        files = [path]
    else:
        files = sorted(pathlib.Path(name) for name in glob.glob(str(path), recursive=True))
    if not files:
        raise DataError(
            f"{path}: no .pkl file there (looked from {pathlib.Path.cwd()}). Give a file, a folder or a pattern."
        )
    return files


def _read_in_child(file: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        size = file.stat().st_size
        stream = file.open("rb")
    except OSError as err:
        raise DataError(f"{file}: cannot read: {err.strerror}.") from err
    with stream:
        if size > _MAX_FILE_BYTES:
            raise DataError(
                f"{file}: {size / 1e6:.0f} MB; motion files up to {_MAX_FILE_BYTES / 1e6:.0f} MB are read."
            )
        answer, status = _run_child(stream)
    if status == 0 and len(answer) <= _MAX_ARRAY_BYTES:
        return _parse(answer, file)
    if len(answer) > _MAX_ARRAY_BYTES:
        cause = f"it unpacks to more than {_MAX_ARRAY_BYTES / 1e6:.0f} MB"
    elif status < 0:
        cause = f"reading it was stopped after {_CPU_S} s of CPU or {_WALL_S:.0f} s (signal {-status})"
    else:
        lines = answer.decode(errors="replace").strip().splitlines()
        cause = lines[-1] if lines else f"the reading process ended with status {status}"
    raise DataError(
        f"{file}: refused: {cause}. Only motion-terrain files of the published PARC are read; nothing was executed."
    )


def _run_child(stream: io.BufferedReader) -> tuple[bytes, int]:
    command = [sys.executable, "-I", "-B", "-W", "ignore", str(_CHILD), str(_MEMORY_BYTES), str(_CPU_S)]
    # no variable of ours reaches the child; one thread keeps its address space small
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    child = subprocess.Popen(
        command, stdin=stream, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd="/"
    )
    timer = threading.Timer(_WALL_S, child.kill)
    timer.start()
    try:
        with child.stdout:
            answer = child.stdout.read(_MAX_ARRAY_BYTES + 1)
            if len(answer) > _MAX_ARRAY_BYTES:
                child.kill()
            return answer, child.wait()
    finally:
        timer.cancel()


def _parse(answer: bytes, file: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(answer)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _MAX_ARRAY_BYTES:
            raise DataError(f"{file}: its arrays take {unpacked / 1e6:.0f} MB.")
        with np.load(io.BytesIO(answer), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = json.loads(arrays.pop("header").tobytes())
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError) as err:
        raise DataError(f"{file}: the reading process gave no usable answer: {err}.") from err
    return arrays, header


def _assemble(
    arrays: dict[str, np.ndarray],
    header: dict[str, Any],
    file: pathlib.Path,
    skeleton: Skeleton,
    motion_class: str,
) -> MotionClip:
    if "hf" not in arrays:
        raise DataError("it has no terrain (terrain_data is empty). Clips need the ground they move on.")
    contacts = arrays.get("body_contacts")
    if contacts is None:
        log.warning("%s: has no contact labels; every contact is 0", file)
        contacts = np.zeros((len(arrays["root_pos"]), skeleton.num_bodies))
    loops = {"CLAMP": "clamp", "WRAP": "wrap"}
    if header["loop_mode"] not in loops:
        raise DataError(f"loop_mode is '{header['loop_mode']}', expected CLAMP or WRAP.")
    terrain = Terrain(
        height=arrays["hf"],
        origin_xy=arrays["min_point"],
        cell=header["dx"],
        bounds=_bounds(arrays.get("hf_maxmin")),
    )
    return MotionClip(
        name=file.stem,
        root_pos=arrays["root_pos"],
        root_rot=arrays["root_rot"],
        joint_rot=arrays["joint_rot"],
        contacts=contacts,
        fps=header["fps"],
        loop=loops[header["loop_mode"]],  # type: ignore[arg-type]
        skeleton=skeleton.id,
        motion_class=motion_class,
        terrain=terrain,
        touched=_touched(arrays, terrain, len(arrays["root_pos"]), file),
        path=_path(arrays),
        provenance=Provenance(stage="dataset", provider="parc_ms", notes={"file": file.name}),
    )


def _bounds(maxmin: np.ndarray | None) -> np.ndarray | None:
    # theirs: highest, lowest, and +1, -1 everywhere when nobody computed them; ours: lowest, highest
    if maxmin is None or (maxmin == np.array([1.0, -1.0])).all():
        return None
    return maxmin[..., ::-1]


def _touched(
    arrays: dict[str, np.ndarray], terrain: Terrain, frames: int, file: pathlib.Path
) -> np.ndarray | None:
    touched = arrays.get("touched")
    if touched is None or len(touched) == 0:
        return None
    if (touched < 0).any() or (touched >= np.array([frames, *terrain.shape])).any():
        log.warning("%s: its touched cells lie outside the clip or the terrain; they are left out", file)
        return None
    return touched


def _path(arrays: dict[str, np.ndarray]) -> Path | None:
    points = arrays.get("path_nodes")
    if points is None or len(points) < 2:
        return None
    # the file does not say what kind its segments are
    return Path(points=points, kinds=np.full(len(points) - 1, SegmentKind.WALK))


def _cut(clip: MotionClip, window: tuple[float, float], file: pathlib.Path) -> MotionClip:
    start, end = window
    first = round(start * clip.fps)
    stop = min(round(end * clip.fps) + 1, clip.num_frames)
    if not 0 <= first < stop:
        raise DataError(
            f"{file}: cut_s is {start} to {end} s, the motion lasts {clip.length:.2f} s; nothing is left. Widen it."
        )
    return clip.frames(first, stop, name=f"{clip.name}_{start:.1f}s_{end:.1f}s")
