"""Fail rates of motions, which an environment keeps, as metrics."""

from __future__ import annotations

import numpy as np

from parc_core.interfaces import TrackerEnv

__all__ = ["fail_rate_metrics", "fail_rates_of"]

_QUANTILES = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def fail_rate_metrics(
    rates: dict[str, float], logged: int, classes: dict[str, str] | None = None
) -> dict[str, float]:
    """Mean, maximum and quantiles of fail rates, mean and maximum per class, and the `logged` highest by motion.

    Source: the metrics of the implementation that `parc_motion.published` cites.

    Args:
        rates: by motion.
        classes: by motion; motions that are missing here, or have class "", belong to no class.
    """
    if not rates:
        return {}
    values = np.array(list(rates.values()))
    found = {"mean": float(values.mean()), "max": float(values.max())}
    found |= {f"q{round(100 * q)}": float(np.quantile(values, q)) for q in _QUANTILES}
    classes = classes or {}
    for name in sorted({name for name in classes.values() if name}):
        own = [rate for motion, rate in rates.items() if classes.get(motion) == name]
        if own:
            found |= {f"class/{name}/mean": sum(own) / len(own), f"class/{name}/max": max(own)}
    worst = sorted(rates, key=lambda name: (-rates[name], name))[:logged]
    return found | {f"motion/{name}": rates[name] for name in worst}


def fail_rates_of(env: TrackerEnv) -> dict[str, float]:
    """The fail rate of each motion, as the environment's curriculum keeps it; empty where it keeps none."""
    return dict(env.curriculum_state().get("fail_rates", {}))
