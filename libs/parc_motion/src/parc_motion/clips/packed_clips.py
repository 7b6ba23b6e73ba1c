"""A data set as a packed store: clips and windows of frames are read from memory maps instead of single files."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np

from parc_motion.clips.clip import MotionClip, Provenance
from parc_motion.clips.dataset import DatasetEntry, MotionDataset
from parc_motion.clips.stored import MISFITS
from parc_motion.errors import CorruptArtifact, DataError
from parc_motion.storage import PackedArrays, PackedField, PackedWriter, cached_store
from parc_motion.terrains import Path, Terrain

__all__ = ["FRAME_FIELDS", "PackedClips", "cached_clips", "write_packed_clips"]

_FORMAT = 1  # of the cached store; changes with its fields and records
_CHECKPOINT_CLIPS = 5000  # an interrupted packing continues from a multiple of this
FRAME_FIELDS = ("root_pos", "root_rot", "joint_rot", "contacts")


def cached_clips(dataset: MotionDataset, cache: pathlib.Path) -> PackedClips:
    """The clips of a data set, packed in a cache: the first call packs them, later ones open them in milliseconds.

    The store belongs to the digest of the data set. Clip files are read only while packing: a file that changes
    afterwards is noticed by whatever makes the next manifest, not here.

    Args:
        cache: folder of the cache; several processes may use it at once, and it may be deleted at any time.

    Raises:
        CorruptArtifact: a clip's file changed since the data set was made.
        SkeletonMismatch: the clips belong to different characters.
        DataError: the data set is empty.
        StorageError: the cache cannot be written.
    """
    key = {"format": _FORMAT, "dataset": dataset.digest}
    store = cached_store(cache, "clips", key, lambda folder: write_packed_clips(folder, dataset))
    return attrs.evolve(PackedClips.of(store), cache=pathlib.Path(cache))


def write_packed_clips(folder: pathlib.Path, dataset: MotionDataset) -> None:
    """Write the clips of a data set, one after the other, into a folder that has no readers yet.

    If an earlier call for this data set was interrupted there, it is continued.

    Raises:
        CorruptArtifact: a clip's file changed since the data set was made.
        SkeletonMismatch: the clips belong to different characters.
        DataError: the data set is empty.
    """
    if not len(dataset):
        raise DataError(f"{folder}: there is no clip to pack.")
    first = dataset[0]
    with PackedWriter(folder, _fields(first.joint_rot.shape[1]), key=dataset.digest) as writer:
        records: list[dict[str, Any]] = writer.progress or []
        for index in range(writer.num_items, len(dataset)):
            clip = dataset[index]
            try:
                clip.require_skeleton(first.skeleton, first.joint_rot.shape[1])
            except DataError as err:
                raise type(err)(f"{dataset.entries[index].file}: {err}") from err
            writer.append(_arrays(clip))
            records.append(_record(clip, dataset.entries[index]))
            if (index + 1) % _CHECKPOINT_CLIPS == 0:
                writer.checkpoint(records)
        writer.finish({"skeleton": first.skeleton, "dataset_digest": dataset.digest, "clips": records})


@attrs.frozen(kw_only=True, eq=False)
class PackedClips(Sequence[MotionClip]):
    """The clips of a store by index, and windows of their frames."""

    store: PackedArrays
    skeleton: str
    dataset_digest: str  # of the data set that was packed
    records: tuple[dict[str, Any], ...]  # one per clip: name, class, weight, fps, digest of its file, ...
    first: np.ndarray  # [M + 1] int64, first frame of each clip among all frames, and the number of frames
    num_frames: np.ndarray  # [M] int64
    weights: np.ndarray  # [M] float64, sampling weights, sum 1
    frames: tuple[tuple[str, np.ndarray], ...]  # each frame field with its rows of all clips
    cache: pathlib.Path | None = None  # where `cached_clips` keeps them

    @staticmethod
    def load(
        folder: pathlib.Path, *, verify: bool = True, dataset: MotionDataset | None = None
    ) -> PackedClips:
        """The store in a folder.

        Args:
            verify: compare every file with its SHA-256 (about 1 s per 1.5 GB). The digest of the manifest and the sizes
                of the files are always checked.
            dataset: refuse a store that was not made of exactly this data set.

        Raises:
            DataError: no store of clips, or one of other clips.
            CorruptArtifact: a file of it is missing or damaged.
        """
        clips = PackedClips.of(PackedArrays.load(folder, verify=verify))
        if dataset is not None:
            clips.require_fresh(dataset)
        return clips

    @staticmethod
    def of(store: PackedArrays) -> PackedClips:
        """The clips of an open store.

        Raises:
            DataError: it is a store of something else.
            CorruptArtifact: its parts do not fit together.
        """
        try:
            records = tuple(store.meta["clips"])
            weights = np.array([record["weight"] for record in records], dtype=np.float64)
            first = store.rows["frames"]
            clips = PackedClips(
                store=store,
                skeleton=store.meta["skeleton"],
                dataset_digest=store.meta["dataset_digest"],
                records=records,
                first=first,
                num_frames=np.diff(first),
                weights=weights / weights.sum(),
                frames=tuple((name, store.arrays[name]) for name in FRAME_FIELDS),
            )
        except MISFITS as err:
            raise DataError(f"{store.folder}: a packed store, but not one of clips: {err!r:.200}.") from err
        if len(records) != store.num_items:
            raise CorruptArtifact(
                f"{store.folder}: lists {len(records)} clips and holds {store.num_items}. Pack again."
            )
        return clips

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[MotionClip]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> MotionClip:  # type: ignore[override]
        index = range(len(self))[index]
        try:
            return _clip(self.store.item(index), self.records[index], self.skeleton)
        except DataError as err:
            raise type(err)(f"{self.store.folder}: clip {index}: {err}") from err
        except MISFITS as err:
            raise CorruptArtifact(
                f"{self.store.folder}: clip {index}: {err!r:.200}. Pack the clips again."
            ) from err

    def window(self, index: int, start: int, length: int) -> dict[str, np.ndarray]:
        """Frames start .. start + length - 1 of a clip: each frame field as a copy ``[length, ...]``."""
        if not 0 <= start <= int(self.num_frames[index]) - length:
            raise DataError(
                f"{self.store.folder}: clip {index} has {self.num_frames[index]} frames; "
                f"{start}..{start + length - 1} is not inside."
            )
        begin = int(self.first[index]) + start
        return {name: rows[begin : begin + length].copy() for name, rows in self.frames}

    def windows(self, indices: np.ndarray, starts: np.ndarray, length: int) -> dict[str, np.ndarray]:
        """Windows of many clips at once: each frame field ``[N, length, ...]``.

        Args:
            indices: clip of each window, ``[N]`` int64.
            starts: its first frame within the clip, ``[N]`` int64.

        Raises:
            DataError: a window reaches beyond its clip.
        """
        if ((starts < 0) | (starts + length > self.num_frames[indices])).any():
            bad = int(((starts < 0) | (starts + length > self.num_frames[indices])).argmax())
            raise DataError(
                f"{self.store.folder}: window {bad} wants frames {starts[bad]}..{starts[bad] + length - 1} of clip "
                f"{indices[bad]}, which has {self.num_frames[indices[bad]]}."
            )
        place = (self.first[indices] + starts)[:, None] + np.arange(length)
        return {name: rows[place] for name, rows in self.frames}

    def derived(self, name: str, key: Any, build: Callable[[pathlib.Path], None]) -> PackedArrays:
        """A store of what follows from these clips, kept in their cache; see `cached_store`.

        Args:
            key: JSON value of everything else that determines the content.

        Raises:
            DataError: the clips are not from `cached_clips`.
            StorageError: the cache cannot be written.
        """
        if self.cache is None:
            raise DataError(
                f"{self.store.folder}: nothing is kept beside these clips; open them with `cached_clips`."
            )
        return cached_store(self.cache, name, {"clips": self.dataset_digest, "key": key}, build)

    def require_fresh(self, dataset: MotionDataset) -> None:
        """Passes if the store was made from this data set.

        Raises:
            DataError: clips, names, classes or weights differ; the text counts them.
        """
        if dataset.digest == self.dataset_digest:
            return
        packed = {record["name"]: record["sha256"] for record in self.records}
        wanted = {entry.name: entry.digest for entry in dataset.entries}
        changed = sum(packed[name] != digest for name, digest in wanted.items() if name in packed)
        raise DataError(
            f"{self.store.folder}: the store is stale: of the data set's {len(wanted)} clips "
            f"{len(wanted.keys() - packed.keys())} are new and {changed} changed, {len(packed.keys() - wanted.keys())} "
            "of the store's are gone, or classes or weights differ. Pack again."
        )


def _fields(num_joints: int) -> dict[str, PackedField]:
    def field(group: str, *shape: int, dtype: str = "<f4") -> PackedField:
        return PackedField(dtype=dtype, shape=shape, group=group)

    return {
        "root_pos": field("frames", 3),
        "root_rot": field("frames", 4),
        "joint_rot": field("frames", num_joints, 4),
        "contacts": field("frames", num_joints + 1),
        "touched": field("touched", 3, dtype="<i4"),
        "height": field("cells"),
        "bounds": field("bounds", 2),
        "path_points": field("points", 3),
        "path_kinds": field("segments", dtype="|i1"),
    }


def _arrays(clip: MotionClip) -> dict[str, np.ndarray]:
    terrain, path = clip.terrain, clip.path
    bounds = None if terrain is None else terrain.bounds
    return {
        **{name: getattr(clip, name) for name in FRAME_FIELDS},
        "touched": np.zeros((0, 3)) if clip.touched is None else clip.touched,
        "height": np.zeros(0) if terrain is None else terrain.height.reshape(-1),
        "bounds": np.zeros((0, 2)) if bounds is None else bounds.reshape(-1, 2),
        "path_points": np.zeros((0, 3)) if path is None else path.points,
        "path_kinds": np.zeros(0) if path is None else path.kinds,
    }


def _record(clip: MotionClip, entry: DatasetEntry) -> dict[str, Any]:
    """What a clip has besides arrays; JSON keeps every digit of its numbers."""
    terrain = clip.terrain
    return {
        "name": entry.name,
        "class": entry.motion_class,
        "weight": entry.weight,
        "origin": entry.origin,
        "sha256": entry.digest,
        "clip_name": clip.name,
        "clip_class": clip.motion_class,
        "fps": clip.fps,
        "loop": clip.loop,
        "touched": clip.touched is not None,
        "terrain": None
        if terrain is None
        else {"shape": list(terrain.shape), "origin_xy": terrain.origin_xy.tolist(), "cell": terrain.cell},
        "path_cost": None if clip.path is None else clip.path.cost,
        "provenance": attrs.asdict(clip.provenance),
    }


def _clip(arrays: dict[str, np.ndarray], record: dict[str, Any], skeleton: str) -> MotionClip:
    terrain = path = None
    if record["terrain"] is not None:
        shape = record["terrain"]["shape"]
        terrain = Terrain(
            height=arrays["height"].reshape(shape),
            origin_xy=record["terrain"]["origin_xy"],
            cell=record["terrain"]["cell"],
            bounds=arrays["bounds"].reshape(*shape, 2) if len(arrays["bounds"]) else None,
        )
    if record["path_cost"] is not None:
        path = Path(points=arrays["path_points"], kinds=arrays["path_kinds"], cost=record["path_cost"])
    return MotionClip(
        name=record["clip_name"],
        motion_class=record["clip_class"],
        fps=record["fps"],
        loop=record["loop"],
        skeleton=skeleton,
        terrain=terrain,
        touched=arrays["touched"] if record["touched"] else None,
        path=path,
        provenance=Provenance(**record["provenance"]),
        **{name: arrays[name] for name in FRAME_FIELDS},
    )
