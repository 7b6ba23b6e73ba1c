"""The settings that a run folder keeps: who may change them, and when a change is taken back."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable

from parc_core.config import IterationConfig, kept_body, kept_yaml, read_text
from parc_core.interfaces import RunFolder
from parc_core.stages.context import Reporter
from parc_motion import storage
from parc_motion.errors import ParcError, RunLocked

__all__ = ["KeptConfig", "check_alone"]

_ORPHANS_END_S = 5.0


def check_alone(others: Callable[[], list[str]], folder: pathlib.Path, redo: str | None) -> None:
    """Refuse to change what others work with; workers of a run that was just killed get the time to end."""
    until = time.monotonic() + _ORPHANS_END_S
    while (found := others()) and time.monotonic() < until:
        time.sleep(0.1)
    if found:
        what = f"--redo {redo}" if redo is not None else "other settings"
        raise RunLocked(
            f"{folder}: {what} cannot be used while others work here: {'; '.join(found)}. Stop them first, or run "
            "without changes: then the work is shared."
        )


class KeptConfig:
    """The configuration of a run before this start, and the folders that its jobs had by then."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.text = read_text(run.config) if run.exists else None
        self.folders = self._folders()

    def changes(self, config: IterationConfig) -> bool:
        """Whether there are settings, and others than these."""
        return self.text is not None and kept_body(self.text) != kept_body(kept_yaml(config))

    def replace(self, config: IterationConfig) -> None:
        """Write other settings, unless they are the same."""
        if self.text is None or self.changes(config):
            storage.write_text(self.run.config, kept_yaml(config))

    def restore_after_fault(self, reporter: Reporter, done: str) -> None:
        """`restore`, and say so; where that fails, too, the first error is not hidden by it.

        Args:
            done: what no job was since the change, "finished" say.
        """
        try:
            if self.restore():
                text = f"nothing was {done} with the new settings, they are not kept"
                reporter.message("run", f"{self.run.path}: {text}")
        except (ParcError, OSError) as err:
            reporter.message("run", f"{self.run.config}: the new settings were not taken back: {err}")

    def restore(self) -> bool:
        """Write it back if it was changed and no job has been begun or finished since; whether that is so."""
        if self.text is None or read_text(self.run.config) == self.text or self._folders() != self.folders:
            return False
        storage.write_text(self.run.config, self.text)
        return True

    def _folders(self) -> set[tuple[pathlib.Path, int]]:
        """Folders of finished and begun jobs, with their inodes."""
        found = self.run.input_folders()
        for iteration in self.run.iterations():
            found += [*iteration.path.iterdir(), *iteration.kin_gen.glob("*")]
        return {(path, path.stat().st_ino) for path in found if path.is_dir()}
