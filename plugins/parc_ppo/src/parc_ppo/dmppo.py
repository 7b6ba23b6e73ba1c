"""Agent `dmppo`: PPO that reports how well each motion is tracked."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from parc_core.interfaces.context import StageContext
from parc_core.interfaces.tracker_env import TrackerEnv
from parc_core.storage import write_json
from parc_ppo.config import DmPpoConfig
from parc_ppo.ppo import PpoAgent

__all__ = ["DmPpoAgent", "fail_rate_metrics"]

_QUANTILES = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def fail_rate_metrics(rates: dict[str, float], logged: int) -> dict[str, float]:
    """Mean, largest and quantiles of fail rates, and the `logged` largest by motion.

    Source: what the published implementation logs.
    """
    if not rates:
        return {}
    values = np.array(list(rates.values()))
    found = {"mean": float(values.mean()), "max": float(values.max())}
    found |= {f"q{round(100 * q)}": float(np.quantile(values, q)) for q in _QUANTILES}
    worst = sorted(rates, key=lambda name: (-rates[name], name))[:logged]
    return found | {f"motion/{name}": rates[name] for name in worst}


class DmPpoAgent(PpoAgent):
    """PPO with tracking errors and fail rates.

    Fail rates are the environment's, which draws motions by them: the entry `fail_rates` of its curriculum.
    They are written as `fail_rates_<samples>.json` with every checkpoint.
    """

    name: ClassVar[str] = "dmppo"
    config: DmPpoConfig

    def select_metrics(self, values: dict[str, float], env: TrackerEnv) -> dict[str, float]:
        """All, with fail rates."""
        if not self.config.report_tracking_error:
            values = super().select_metrics(values, env)
        rates = fail_rate_metrics(_fail_rates(env), self.config.logged_motions)
        return values | {f"fail_rate/{name}": value for name, value in rates.items()}

    def on_checkpoint(self, env: TrackerEnv, ctx: StageContext, samples: int) -> None:
        """Write the fail rates."""
        write_json(ctx.folder / f"fail_rates_{samples}.json", _fail_rates(env))


def _fail_rates(env: TrackerEnv) -> dict[str, float]:
    return dict(env.curriculum_state().get("fail_rates", {}))
