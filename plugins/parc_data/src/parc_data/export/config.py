"""How text formats are written."""

from __future__ import annotations

from typing import Literal

import attrs

from parc_core.config import setting

__all__ = ["ExportConfig"]


@attrs.frozen(kw_only=True)
class ExportConfig:
    """Settings of `parc data export`."""

    up: Literal["y", "z"] = setting("y", choices=("y", "z"), help="BVH: axis that points up.")
    scale: float = setting(0.01, ge=1e-6, le=1000, unit="m", help="BVH: meters per unit of the file.")
    joints: Literal["quaternions", "dofs"] = setting(
        "quaternions", choices=("quaternions", "dofs"), help="CSV: how joint rotations are written."
    )
