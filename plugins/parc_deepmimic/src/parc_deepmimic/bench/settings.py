"""What is measured, and how."""

from __future__ import annotations

import attrs

from parc_core.config import Use, setting

__all__ = ["BenchSettings"]


@attrs.frozen(kw_only=True)
class BenchSettings:
    """An environment, what simulates it and who acts in it."""

    env: Use = setting(Use("deepmimic"), kind="tracker_env", help="the imitation task")
    simulator: Use = setting(Use("mujoco"), kind="simulator", help="the physics")
    agent: Use = setting(Use("random"), kind="agent", help="who acts; its own time is not counted")
    character: str = setting("humanoid", help="built-in character or an MJCF file")
