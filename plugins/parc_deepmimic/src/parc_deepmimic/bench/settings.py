"""What is measured, and how."""

from __future__ import annotations

import attrs

from parc_core.config import Use, setting
from parc_deepmimic.evaluate.evaluation_envs import EvaluationSetup

__all__ = ["BenchSettings"]


@attrs.frozen(kw_only=True)
class BenchSettings(EvaluationSetup):
    """An environment, what simulates it and who acts in it."""

    agent: Use = setting(Use("random"), kind="agent", help="who acts; its own time is not counted")
