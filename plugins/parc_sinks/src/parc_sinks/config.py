"""Settings of the sinks."""

from __future__ import annotations

import pathlib
from typing import Literal

import attrs

from parc_core.config import setting

__all__ = ["TensorBoardConfig", "WandbConfig"]


@attrs.frozen(kw_only=True)
class TensorBoardConfig:
    """Settings of `tensorboard`."""

    subfolder: str = setting("tb", help="Folder of the event files, inside the job's folder.")

    def __attrs_post_init__(self) -> None:
        if pathlib.PurePath(self.subfolder).name != self.subfolder:
            raise ValueError(f"subfolder is '{self.subfolder}', expected a plain name")


@attrs.frozen(kw_only=True)
class WandbConfig:
    """Settings of `wandb`."""

    project: str = setting("parc", help="Weights & Biases project of the runs.")
    mode: Literal["offline", "online"] = setting(
        "offline", help="offline writes to a local folder; online also uploads, which needs `wandb login`."
    )
    entity: str | None = setting(None, help="Team or user that owns the project. null: your default entity.")
