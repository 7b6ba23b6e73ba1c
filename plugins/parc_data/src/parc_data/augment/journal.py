"""Record of what an output folder holds, so that an interrupted call continues where it stopped.

`augment.jsonl` gets one line per variation when its batch is saved; a line counts as long as its file is unchanged.
Files of other clips or settings are never mixed with new ones: they are an error, or removed with `--overwrite`.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from parc_data.augment.maker import Made
from parc_data.tools.output import check_no_input_inside, clip_path
from parc_motion import storage
from parc_motion.clips import save_clip
from parc_motion.errors import StorageError

__all__ = ["JOURNAL", "REPORT", "Journal"]

JOURNAL = "augment.jsonl"
REPORT = "augment.json"
_KIND = "parc.augment"


@attrs.define(kw_only=True)
class Journal:
    """The rows of an output folder, by clip and number of the variation.

    Args:
        settings: digest of everything that decides the variations but the clips themselves.
    """

    folder: pathlib.Path
    settings: str
    rows: dict[tuple[str, int], dict[str, Any]] = attrs.field(factory=dict)

    @staticmethod
    def read(folder: pathlib.Path, settings: str, overwrite: bool) -> Journal:
        """The journal of a folder; empty for a new one.

        Raises:
            StorageError: it holds variations that were made with other settings and are not to be overwritten.
        """
        journal = Journal(folder=folder, settings=settings)
        if not (folder / JOURNAL).exists():
            return journal
        rows = list(_read(folder / JOURNAL))
        if any(row["settings"] != settings for row in rows):
            if not overwrite:
                raise StorageError(
                    f"{folder}: holds variations that were made with other settings or another seed. Give another "
                    "output folder, or --overwrite to remove them."
                )
            journal._remove(rows)
            return journal
        journal.rows = {(row["place"], row["variation"]): row for row in rows}
        return journal

    @staticmethod
    def check_folder(folder: pathlib.Path, inputs: Iterable[pathlib.Path]) -> None:
        """Passes if variations may be written to the folder; called before anything is written.

        Raises:
            StorageError: an input lies in the folder, or files that `parc data augment` did not write.
        """
        check_no_input_inside(folder, inputs)
        usable = not folder.exists() or (
            folder.is_dir() and ((folder / JOURNAL).exists() or not _is_used(folder))
        )
        if not usable:
            raise StorageError(
                f"{folder}: exists and was not made by `parc data augment`. Give another output folder."
            )

    def drop_clip(self, place: str, parent: str, overwrite: bool) -> None:
        """Remove the variations of a clip that has changed since.

        Raises:
            StorageError: there are some, and they are not to be overwritten.
        """
        stale = [key for key, row in self.rows.items() if key[0] == place and row["parent"] != parent]
        if stale and not overwrite:
            raise StorageError(
                f"{self.folder}: holds variations of '{place}' as it was before it changed. Give another output "
                "folder, or --overwrite to replace them."
            )
        for key in stale:
            row = self.rows.pop(key)
            if row["file"]:
                storage.remove(self.folder / row["file"])

    def has(self, place: str, numbers: Iterable[int]) -> bool:
        """Whether all these variations of a clip exist, each file unchanged."""
        return all(self._is_whole(self.rows.get((place, number))) for number in numbers)

    def save(self, place: str, parent: str, made: Sequence[Made]) -> None:
        """Write one batch: its clips, then a line for each."""
        rows = []
        for one in made:
            row = {
                "settings": self.settings,
                "place": place,
                "parent": parent,
                "variation": one.number,
                "file": None,
                "sha256": None,
                "tries": len(one.refusals) + (one.clip is not None),
                "refused": [attrs.asdict(refusal) for refusal in one.refusals],
                **one.details,
            }
            if one.clip is not None:
                row["file"] = clip_path(one.clip).as_posix()
                row["sha256"] = save_clip(self.folder / row["file"], one.clip)
            rows.append(row)
        for row in rows:
            storage.append_line(self.folder / JOURNAL, json.dumps(row, allow_nan=False))
            self.rows[(row["place"], row["variation"])] = row

    def write_report(self, report: dict[str, Any]) -> None:
        """Write `augment.json`."""
        storage.write_json(self.folder / REPORT, {"kind": _KIND, **report})

    def _is_whole(self, row: dict[str, Any] | None) -> bool:
        if row is None:
            return False
        if row["file"] is None:
            return True  # no sample passed the checks, and none would
        file = self.folder / row["file"]
        return file.is_file() and storage.digest_file(file) == row["sha256"]

    def _remove(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if row["file"]:
                storage.remove(self.folder / row["file"])
        for name in (REPORT, JOURNAL):
            storage.remove(self.folder / name)


def _read(path: pathlib.Path) -> Iterable[dict[str, Any]]:
    """The lines of a journal; one that was torn by a crash is left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as err:
        raise StorageError(f"{path}: cannot read: {err.strerror}.") from err
    wanted = {"settings", "place", "parent", "variation", "file", "sha256"}
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and wanted <= row.keys() and _is_inside(row["file"]):
            yield row


def _is_inside(file: Any) -> bool:
    """Whether a name in a journal is that of a clip below the folder."""
    if file is None:
        return True
    path = pathlib.PurePosixPath(str(file))
    return not path.is_absolute() and ".." not in path.parts and path.suffix == ".npz"


def _is_used(folder: pathlib.Path) -> bool:
    """Whether a folder holds anything but the clips of a first batch that a crash cut off, and the lock."""
    return any(
        path.is_file() and path.name != "run.lock" and not ("_aug_" in path.name and path.suffix == ".npz")
        for path in folder.rglob("*")
        if not path.name.startswith(".")
    )
