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

    subfolder: str = setting("tb", help="folder of the event files in the job's folder")

    def __attrs_post_init__(self) -> None:
        if pathlib.PurePath(self.subfolder).name != self.subfolder:
            raise ValueError(f"subfolder is '{self.subfolder}', expected a plain name")


@attrs.frozen(kw_only=True)
class WandbConfig:
    """Settings of `wandb`."""

    project: str = setting("parc", help="project that the runs belong to")
    mode: Literal["offline", "online"] = setting(
        "offline", help="online sends the numbers to the service as they come; it needs `wandb login`"
    )
    entity: str | None = setting(None, help="team or user that the project belongs to; null: your own")
