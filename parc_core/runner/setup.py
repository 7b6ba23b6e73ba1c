"""`parc setup`: write the run folder and its per-stage files without running anything (stage 0 of the documents)."""

from __future__ import annotations

import pathlib
from typing import Any

import attrs

from parc_core.config import STAGES, dump, dump_yaml
from parc_core.interfaces import RunFolder
from parc_core.plugins import Registry
from parc_core.runner.contexts import contexts, prepare
from parc_core.runner.plan import plan
from parc_core.runner.presence import alone
from parc_motion import storage

__all__ = ["write_setup"]


def write_setup(
    path: pathlib.Path, overrides: tuple[str, ...] = (), iterations: int | None = None
) -> dict[str, Any]:
    """Write `config.yaml` and `setup/<stage>.yaml` into the run folder; returns the plan.

    Stages that change at an iteration are written again, as `setup/from_<iteration>/<stage>.yaml`.

    Any stage or batch can then be run by itself, also on another machine that sees the folder:
    ``parc run FOLDER --only kin_gen --batch 3``.
    """
    registry = Registry.discover()
    config, folder = prepare(path, overrides, registry)
    if iterations is not None:
        config = attrs.evolve(config, iterations=iterations)
    with alone(folder):
        storage.write_text(RunFolder(folder).config, dump_yaml(config))
        before: dict[str, Any] = {}
        for number in (1, *config.from_):
            plain = dump(config.at(number))
            setup = folder / "setup" / (f"from_{number}" if number > 1 else "")
            for stage in STAGES:
                if plain[stage] != before.get(stage):
                    storage.write_json(setup / f"{stage}.yaml", {stage: plain[stage]})
            before = plain
    return plan(contexts(config, registry, folder, _Quiet()))


class _Quiet:
    """A reporter without output: nothing runs here."""

    def message(self, stage: str, text: str) -> None:
        pass

    def update(self, stage: str, done: float, total: float, note: str) -> None:
        pass
