"""Agent `dmppo`: PPO that reports how well each motion is tracked."""

from __future__ import annotations

from torch import Tensor

from parc_core.errors import StageFailed
from parc_core.interfaces import StageContext, TrackerEnv
from parc_motion.storage import write_json
from parc_ppo.config import DmPpoConfig
from parc_ppo.extras import ExperienceExtras
from parc_ppo.ppo import PpoAgent
from parc_rl.fail_rates import fail_rate_metrics, fail_rates_of

__all__ = ["DmPpoAgent"]


class DmPpoAgent(PpoAgent):
    """PPO with tracking errors and fail rates.

    The environment keeps the fail rates and samples motions by them: the entry `fail_rates` of its curriculum. They
    are written as `fail_rates_<samples>.json` with every checkpoint.
    """

    name = "dmppo"
    config: DmPpoConfig

    def select_metrics(self, values: dict[str, float], env: TrackerEnv) -> dict[str, float]:
        """All metrics, and fail rates."""
        if not self.config.report_tracking_error:
            values = super().select_metrics(values, env)
        classes = dict(zip(env.motion_names, env.motion_classes))
        rates = fail_rate_metrics(fail_rates_of(env), self.config.logged_motions, classes)
        return values | {f"fail_rate/{name}": value for name, value in rates.items()}

    def on_checkpoint(self, env: TrackerEnv, ctx: StageContext, samples: int) -> None:
        """Write the fail rates."""
        write_json(ctx.folder / f"fail_rates_{samples}.json", fail_rates_of(env))

    def make_extras(self, env: TrackerEnv) -> ExperienceExtras | None:
        """The data of `record_extras`."""
        return (
            ExperienceExtras(self.config.steps_per_iter, env, self.device)
            if self.config.record_extras
            else None
        )

    @property
    def experience(self) -> dict[str, Tensor]:
        """The last rollout with the additional data of `record_extras`, time first; the next rollout overwrites it.

        ``obs``, ``action`` (normalized), ``reward``, ``done``, and the fields of `ExperienceExtras`.

        Raises:
            StageFailed: no data was recorded.
        """
        buffer = self._trainer.buffer if self._trainer is not None else None
        if buffer is None or buffer.extras is None:
            raise StageFailed(
                f"agent '{self.name}': no experience was recorded. Set record_extras: true and train."
            )
        learned_from = {
            "obs": buffer.obs[:-1],
            "action": buffer.action,
            "reward": buffer.reward,
            "done": buffer.done,
        }
        return {**learned_from, **buffer.extras.fields}

    def select_test(self, found: dict[str, float]) -> dict[str, float]:
        """All results, if `report_tracking_error` is set."""
        return found if self.config.report_tracking_error else super().select_test(found)
