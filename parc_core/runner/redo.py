"""`--redo`: what it replaces moves to `superseded` as one step, also if the process is killed in the middle of it."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from parc_core.runner.plan import longer_training, repeated, replaced
from parc_core.stages.context import RunContext
from parc_core.stages.superseded import set_aside
from parc_motion import storage

__all__ = ["set_aside_replaced"]

_INTENT = "redo.json"  # in the run folder, until all is moved
_FORMAT = 2  # earlier ones had no number and were not sealed


def set_aside_replaced(runs: Sequence[RunContext], redo: str | None) -> None:
    """Move what `redo` replaces into `superseded`; a training that is only to be longer goes on from its last state.

    What an earlier call had begun is finished first, with or without `redo`. Only one process may be here.

    Args:
        runs: the iterations of a run, in order.
    """
    intent = runs[-1].run_folder.path / _INTENT
    if intent.is_file():
        _carry_out(runs, intent)
    if redo is None:
        return
    longer = longer_training(runs, redo)
    last = None if longer is None else longer.folder
    root = runs[-1].run_folder.path
    folders = [folder for folder in replaced(runs, redo) if folder.exists() and folder != last]
    names = [folder.relative_to(root).as_posix() for folder in folders]
    fields = {"folders": names, "longer": None if longer is None else redo, "iteration": len(runs)}
    again = [folder.relative_to(root).as_posix() for folder in sorted(repeated(runs, redo))]
    storage.write_sealed(intent, {"format": _FORMAT, **fields, "again": again})
    _carry_out(runs, intent)


def _carry_out(runs: Sequence[RunContext], intent: pathlib.Path) -> None:
    plan, run_folder = storage.read_sealed(intent, since_format=_FORMAT), runs[-1].run_folder
    for name in plan["folders"]:
        if (run_folder.path / name).exists():
            set_aside(run_folder.path / name, run_folder.superseded, again=name in plan.get("again", ()))
    # its finished folder goes last, because its state is copied from there
    training = longer_training(runs[: plan["iteration"]], plan["longer"])
    if training is not None:
        training.begin_from(training.folder)
        set_aside(training.folder, run_folder.superseded, again=True)
    storage.remove(intent)
