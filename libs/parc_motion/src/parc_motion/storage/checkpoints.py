"""Checkpoints: folders with weights, exact state and digests; the newest that is whole is loaded."""

from __future__ import annotations

import logging
import pathlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from parc_motion.errors import CorruptArtifact, DataError
from parc_motion.storage.atomic import commit_folder, make_folder, remove, staged_folder, write_json
from parc_motion.storage.digests import digest_file, read_json
from parc_motion.storage.sealed import read_sealed, write_sealed
from parc_motion.storage.tensors import read_tensors, write_tensors

if TYPE_CHECKING:
    import torch

__all__ = ["MODEL", "Checkpoint", "CheckpointStore"]

log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class Checkpoint:
    """What `CheckpointStore.save` was given."""

    step: int
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]


MODEL = "model"  # folder in a checkpoint
_FORMAT = 2  # 1 was not sealed


@attrs.frozen(kw_only=True)
class CheckpointStore:
    """The checkpoints of one job, as `<folder>/<stem>_<step>/`; the last `keep` stay, and every multiple of
    `keep_every` steps."""

    folder: pathlib.Path
    stem: str = "model"
    keep: int = 3
    keep_every: int = 0

    def save(
        self,
        step: int,
        tensors: dict[str, torch.Tensor],
        state: dict[str, Any],
        model: Callable[[pathlib.Path], object] | None = None,
    ) -> pathlib.Path:
        """Write a checkpoint durably and drop the oldest; returns its folder.

        Args:
            tensors: everything that is a tensor, generator states included.
            state: everything else, JSON values.
            model: writes the generator or policy as it would be if the training ended now into a folder, `MODEL` of
                the checkpoint, so that it can be used like a finished one.
        """
        final = self.folder / f"{self.stem}_{step:010d}"
        staged = staged_folder(final)
        remove(staged)
        make_folder(staged)
        write_tensors(staged / "tensors.safetensors", tensors)
        write_json(staged / "state.json", {"step": step, "state": state})
        if model is not None:
            model(staged / MODEL)
        digests = {name: digest_file(staged / name) for name in ("tensors.safetensors", "state.json")}
        write_sealed(staged / "checkpoint.json", {"format": _FORMAT, "files": digests})
        remove(final)
        commit_folder(staged, final)
        self._drop_old()
        return final

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint whose digests are right, or None; damaged ones are passed over with a warning."""
        for step in reversed(self.steps()):
            try:
                return self.load(step)
            except DataError as err:
                log.warning("%s Falling back to the checkpoint before it.", err)
        return None

    def load(self, step: int) -> Checkpoint:
        """One checkpoint.

        Raises:
            CorruptArtifact: a file is missing or its digest differs.
        """
        folder = self.folder / f"{self.stem}_{step:010d}"
        document = read_sealed(folder / "checkpoint.json", since_format=_FORMAT)
        for name, digest in document["files"].items():
            if digest_file(folder / name) != digest:
                raise CorruptArtifact(
                    f"{folder / name}: its SHA-256 differs from the recorded one; the file is damaged."
                )
        state = read_json(folder / "state.json")
        return Checkpoint(
            step=state["step"], tensors=read_tensors(folder / "tensors.safetensors"), state=state["state"]
        )

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, ascending."""
        pattern = re.compile(re.escape(self.stem) + r"_(\d{10})")
        found = [pattern.fullmatch(path.name) for path in self.folder.glob(f"{self.stem}_*") if path.is_dir()]
        return sorted(int(match.group(1)) for match in found if match)

    def _drop_old(self) -> None:
        for step in self.steps()[: -self.keep]:
            if not (self.keep_every and step % self.keep_every == 0):
                remove(self.folder / f"{self.stem}_{step:010d}")
