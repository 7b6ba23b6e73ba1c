"""From an iteration file or a run folder to what its stages share."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable

import attrs

from parc_core.config import IterationConfig, StageFile, load_iteration
from parc_core.errors import ConfigError
from parc_core.interfaces import RunFolder
from parc_core.paths import is_folder
from parc_core.plugins import Registry
from parc_core.stages.context import Reporter, RunContext
from parc_core.stages.group import simulator_threads
from parc_motion.skeletons import load_skeleton

__all__ = ["contexts", "device_name", "prepare", "set_torch_threads"]


def prepare(
    path: pathlib.Path,
    overrides: tuple[str, ...],
    registry: Registry,
    resume: bool = False,
    stage_file: StageFile | None = None,
) -> tuple[IterationConfig, pathlib.Path]:
    """Configuration and run folder of an iteration file or of an existing run folder.

    Args:
        resume: refuse an iteration file whose run has not begun.
        stage_file: what lies at `path`, if it is the file of a stage.
    """
    if stage_file is not None:
        config_file = RunFolder(stage_file.run).config
        return load_iteration(config_file, overrides, registry, stage_file).config, stage_file.run
    path = pathlib.Path(path)
    if is_folder(path):
        if not RunFolder(path).exists:
            raise ConfigError(
                f"{path}: not a run folder (config.yaml is missing). Give an iteration file, or a run folder."
            )
        return load_iteration(RunFolder(path).config, overrides, registry).config, path
    config = load_iteration(path, overrides, registry).config
    folder = pathlib.Path(os.path.expanduser(config.output)) / config.name
    if resume and not RunFolder(folder).exists:
        raise ConfigError(f"--resume: there is no run in {folder}. Leave the flag out to begin one.")
    return config, folder


def contexts(
    config: IterationConfig,
    registry: Registry,
    folder: pathlib.Path,
    reporter: Reporter,
    stop: Callable[[], bool] | None = None,
) -> list[RunContext]:
    """A context per iteration of a run.

    Args:
        stop: None for a plan, which does not need the device: it may be made on another machine.

    Raises:
        ConfigError: the device does not exist here.
    """
    first = RunContext(
        config=config,
        registry=registry,
        skeleton=load_skeleton(config.character),
        run_folder=RunFolder(folder),
        iteration=1,
        device=config.device if stop is None else device_name(config.device),
        threads=simulator_threads(config.threads),
        torch_threads=config.torch_threads,
        reporter=reporter,
        should_stop=stop or (lambda: False),
    )
    return [attrs.evolve(first, iteration=number) for number in range(1, config.iterations + 1)]


def set_torch_threads(count: int) -> None:
    """Number of threads of PyTorch in this process."""
    import torch

    torch.set_num_threads(count)


def device_name(name: str) -> str:
    """The device that a setting stands for: auto is a GPU if there is one.

    Raises:
        ConfigError: it does not exist here.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda"):
        number = int(name.partition(":")[2] or 0)
        if number >= torch.cuda.device_count():
            raise ConfigError(
                f"device: '{name}' was asked for, but torch sees {torch.cuda.device_count()} CUDA device(s). "
                "Set device: auto or cpu, or repair the driver."
            )
    return name
