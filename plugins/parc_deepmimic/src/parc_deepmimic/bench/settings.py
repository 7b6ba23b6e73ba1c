"""Settings of a measurement."""

from __future__ import annotations

import attrs

from parc_core.config import Use, setting
from parc_deepmimic.evaluate.evaluation_envs import EvaluationSetup

__all__ = ["BenchSettings"]


@attrs.frozen(kw_only=True)
class BenchSettings(EvaluationSetup):
    """What is measured: an agent in an environment on a simulator."""

    agent: Use = setting(
        Use("random"), kind="agent", help="The agent that acts; its own time is not counted."
    )
