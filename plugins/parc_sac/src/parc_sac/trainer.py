"""The training loop: control steps, gradient steps, evaluations, checkpoints, and exact resumption."""

from __future__ import annotations

import logging
import math
import pathlib
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from parc_core.errors import ConfigError, SimulationDiverged, TrainingDiverged
from parc_core.interfaces import StageContext, Stopped, TrackerEnv
from parc_motion.storage import write_json
from parc_rl.divergence import diverged_again
from parc_rl.ema import ema_copy, update_ema
from parc_rl.fail_rates import fail_rate_metrics, fail_rates_of
from parc_rl.selection import score
from parc_rl.stats import EpisodeStats
from parc_sac.collector import Ahead, Collected, collect
from parc_sac.config import ModelConfig, SacConfig
from parc_sac.losses import gaussian_entropy, value_support
from parc_sac.networks import Actor, SacNetwork
from parc_sac.policy_io import describe_model
from parc_sac.replay import Replay, bytes_per_sample
from parc_sac.training_state import BestPolicy, TrainingState
from parc_sac.update import learn

__all__ = ["Trainer"]

log = logging.getLogger(__name__)

_LOSSES = ("actor", "critic")


class Evaluator(Protocol):
    """What the trainer asks of the agent."""

    def evaluate(self, env: TrackerEnv, start_fractions: tuple[float, ...] = (0.0,)) -> dict[str, Any]:
        """Follow every motion with the present policy."""

    def robustness(self, env: TrackerEnv, every: int, tries: int) -> dict[str, Any]:
        """``survival`` of every k-th start frame and ``perturbed`` starts per motion; 0 leaves either out."""

    def write_policy(self, folder: pathlib.Path) -> None:
        """Write the policy that would be kept if the training ended now."""


class Trainer:
    """Trains one network on one environment.

    A resumed training equals an uninterrupted one: a checkpoint holds the whole `TrainingState`, the replay included,
    and the environment, whose simulation it does not hold, resets after each checkpoint in either case. With `overlap`
    nothing is collected ahead of such a reset.
    """

    def __init__(
        self,
        config: SacConfig,
        network: SacNetwork,
        model: ModelConfig,
        env: TrackerEnv,
        ctx: StageContext,
        device: str,
        evaluator: Evaluator,
    ) -> None:
        self.config, self.env, self.ctx, self.evaluator = config, env, ctx, evaluator
        num_actions = len(env.action.lower)
        rows = config.replay_size // env.num_envs
        if rows < 3 + config.n_steps:
            raise ConfigError(
                f"agent: replay_size is {config.replay_size}, that is {rows} for each of {env.num_envs} environments. "
                f"Choose at least {(3 + config.n_steps) * env.num_envs}."
            )
        bounds = env.reward_range if config.reward_bounds == "auto" else config.reward_bounds
        if bounds is None:
            raise ConfigError(
                "agent: the environment does not say how large its rewards are, and critics need to know. Set "
                "reward_bounds to the lowest and highest reward of a step, e.g. [0, 1]."
            )
        rates = config.optimizer
        self.state = TrainingState(
            network=network,
            average=ema_copy(network.actor) if config.average_decay else None,
            model=describe_model(model),
            support=value_support(bounds, config.discount, model.num_atoms).to(device),
            actor_optimizer=_adam(network.actor.parameters(), rates.learning_rate, rates.weight_decay),
            critic_optimizer=_adam(network.critics.parameters(), rates.learning_rate, rates.weight_decay),
            alpha_optimizer=_adam([network.log_alpha], rates.alpha_learning_rate, 0.0),
            replay=Replay(rows, env.num_envs, env.obs_size, num_actions, device),
            explore=ctx.seeds.torch("action_noise", device),
            noise=ctx.seeds.torch("loss_noise", device),
            draws=ctx.seeds.torch("replay", device),
            stats=EpisodeStats(env.num_envs, device, ctx.parallel),
        )
        self._target_entropy = gaussian_entropy(config.target_std, num_actions)
        self._ahead: Ahead | None = None  # while `run` is at work
        self._spent = {"rollout_s": 0.0, "update_s": 0.0, "other_s": 0.0}  # wall time since the last output
        self._spent_samples = 0
        size = rows * env.num_envs * bytes_per_sample(env.obs_size, num_actions)
        log.info("the replay of %d samples takes %.0f MB", rows * env.num_envs, size / 1e6)

    @property
    def actor(self) -> Actor:
        """The actor to evaluate and to save."""
        return self.state.network.actor if self.state.average is None else self.state.average

    @property
    def samples(self) -> int:
        """Control steps so far, summed over all environments."""
        return self.state.samples

    def run(self, *, restored: bool) -> None:
        """Train until `max_samples`.

        Args:
            restored: the network is a trained policy, which may remain the best one.

        Raises:
            Stopped: the user asked for it.
            TrainingDiverged: for the second time, losses, weights or actions are not finite. At the first time it goes
                back to the last checkpoint, and on with half the learning rate.
            SimulationDiverged: the same of what the environment returned.
        """
        state, checkpoint = self.state, self.ctx.checkpoints.latest()
        if checkpoint is not None:
            state.load(checkpoint, self.env, self.ctx.threads, str(self.ctx.checkpoints.folder))
            log.info("continuing at iteration %d, %d samples", state.iteration, state.samples)
        else:
            state.actor_from = self.config.actor_starts
            if restored and self.config.select == "best":
                self._evaluate()
            self._save()
        if self.config.overlap:
            self._ahead = Ahead(self.env, state.network, state.explore)
        try:
            self._loop()
        finally:
            if self._ahead is not None:
                self._ahead.close()

    def summary(self) -> dict[str, Any]:
        """What the policy's file says about its training."""
        best = self._best()
        kept = {"select": self.config.select, "samples": best.samples if best else self.samples}
        return {"kept": kept, "evaluation": best.evaluation if best else self.state.evaluation}

    def weights(self) -> Mapping[str, Tensor]:
        """Those of the policy that would be kept if the training ended now."""
        best = self._best()
        return best.weights if best else self.state.policy_weights()

    def _best(self) -> BestPolicy | None:
        return self.state.best if self.config.select == "best" else None

    # --- one iteration

    def _loop(self) -> None:
        obs = self._reset()
        while self.samples < self.config.max_samples:
            if self.ctx.should_stop():
                # without a checkpoint: episodes restart at each, and an uninterrupted training has none here
                raise Stopped
            try:
                obs = self._iterate(obs)
            except (SimulationDiverged, TrainingDiverged) as err:
                self._go_back(err)
                obs = self._reset()
                continue
            if self._between():
                obs = self._reset()

    def _iterate(self, obs: Tensor) -> Tensor:
        """Control steps from `obs` on, and gradient steps; the observation after them, ``[N, O]``."""
        config, state = self.config, self.state
        begin = time.perf_counter()
        # 1. control steps, unless they were taken during the last gradient steps
        found = self._ahead.finish() if self._ahead is not None else None
        if found is None:
            found = collect(self.env, state.network, state.network, obs, config.steps_per_iter, state.explore)
        obs = found.steps[-1].obs
        state.iteration += 1
        state.samples += self._samples_per_iteration
        self._spent_samples += self._samples_per_iteration
        outputs = state.iteration % config.iters_per_output == 0 or self._finished
        rates = self._fail_rates() if outputs else {}  # before others use the environment
        if self._ahead is not None and not self._restarts():
            self._ahead.start(obs, config.steps_per_iter)
        self._keep(found)
        collected = time.perf_counter()
        # 2. gradient steps
        losses: dict[str, float] = {}
        if state.samples >= config.learning_starts:
            self._set_learning_rate()
            train_actor = state.samples >= state.actor_from
            losses = learn(state, config, target_entropy=self._target_entropy, train_actor=train_actor)
            self._check_weights(losses)
            if state.average is not None:
                update_ema(state.average, state.network.actor, config.average_decay, state.iteration)
        self._spent["rollout_s"] += collected - begin
        self._spent["update_s"] += time.perf_counter() - collected
        # 3. metrics
        if outputs:
            self._output(losses, rates)
        return obs

    def _keep(self, found: Collected) -> None:
        """Put what was collected into the replay, the normalizer and the statistics."""
        state = self.state
        for obs, action, step in zip(found.obs, found.actions, found.steps):
            self._check_step(action, step.obs, step.reward)
            state.replay.add(action, step)
            state.stats.add(step)
            state.network.normalizer.record(obs)
        state.network.normalizer.apply_recorded()

    def _check_step(self, action: Tensor, obs: Tensor, reward: Tensor) -> None:
        """Raise if a control step gave, or was given, numbers that are not finite."""
        for what, values, error in (  # in the order of their causes
            ("an action of the policy", action, TrainingDiverged),
            ("an observation of the environment", obs, SimulationDiverged),
            ("a reward of the environment", reward, SimulationDiverged),
        ):
            if not bool(torch.isfinite(values.sum())):  # of finite numbers it may overflow
                bad = (~torch.isfinite(values)).nonzero()
                if len(bad):
                    raise error(
                        f"{self._where()}: {what} is not finite, first in environment {int(bad[0, 0])}"
                    )

    def _check_weights(self, losses: Mapping[str, float]) -> None:
        bad = [name for name, value in losses.items() if not math.isfinite(value)]
        if bad:
            raise TrainingDiverged(f"{self._where()}: {', '.join(bad)} not finite")
        for name, value in self.state.network.named_parameters():
            if not bool(torch.isfinite(value).all()):
                raise TrainingDiverged(f"{self._where()}: the weights '{name}' are not finite")

    def _where(self) -> str:
        return f"iteration {self.state.iteration} ({self.state.samples} samples)"

    def _set_learning_rate(self) -> None:
        rates, state = self.config.optimizer, self.state
        progress = min(state.samples / self.config.max_samples, 1.0)
        rate = rates.learning_rate * (1.0 - (1.0 - rates.final_fraction) * progress)
        for optimizer in (state.actor_optimizer, state.critic_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = rate * state.learning_rate_factor
        for group in state.alpha_optimizer.param_groups:
            group["lr"] = rates.alpha_learning_rate * state.learning_rate_factor

    # --- between iterations

    def _due(self, every: int) -> bool:
        return every > 0 and self.state.iteration % every == 0

    @property
    def _finished(self) -> bool:
        return self.samples >= self.config.max_samples

    def _restarts(self) -> bool:
        """Whether episodes restart after this iteration."""
        config = self.config
        return self._finished or self._due(config.eval_every_iters) or self._due(config.iters_per_checkpoint)

    def _between(self) -> bool:
        """Evaluate and save where due; whether episodes have to restart."""
        begin = time.perf_counter()
        if self._finished or self._due(self.config.eval_every_iters):
            self._evaluate()
        if self._finished or self._due(self.config.iters_per_checkpoint):
            self._save()
        self._spent["other_s"] += time.perf_counter() - begin
        return self._restarts() and not self._finished

    def _evaluate(self) -> None:
        config, state = self.config, self.state
        found = self.evaluator.evaluate(self.env, config.eval_start_fractions)
        found |= self.evaluator.robustness(self.env, config.eval_survival_frames, config.eval_perturbed)
        state.evaluation, reached = found, score(found, self.env)
        values = {"success_rate": found["success_rate"], "tracked_fraction": reached.tracked}
        values |= {name: found[name]["share"] for name in ("survival", "perturbed") if name in found}
        values |= {f"error_{name}": value for name, value in found["errors"].items()}
        self._write({f"eval/{name}": value for name, value in values.items()})
        log.info("%d samples: %.0f %% of motions followed", state.samples, 100 * found["success_rate"])
        if config.select == "best" and (state.best is None or reached > state.best.score):
            weights = {name: value.detach().clone() for name, value in state.policy_weights().items()}
            state.best = BestPolicy(score=reached, samples=state.samples, evaluation=found, weights=weights)

    def _go_back(self, err: SimulationDiverged | TrainingDiverged) -> None:
        """Take back what happened since the last checkpoint, and go on from there with smaller steps.

        Raises:
            SimulationDiverged, TrainingDiverged: it has gone back before.
        """
        state, checkpoint = self.state, self.ctx.checkpoints.latest()
        if self._ahead is not None:
            self._ahead.discard()
        if state.went_back is not None or checkpoint is None:
            rate = self.config.optimizer.learning_rate
            raise type(err)(diverged_again(err, state.went_back, rate)) from err
        state.load(checkpoint, self.env, self.ctx.threads, str(self.ctx.checkpoints.folder))
        state.went_back = {"cause": str(err), "to": checkpoint.step}
        self.env.statistics()  # those of the episodes that are taken back
        self._save()
        log.warning(
            "tracker training, %s. It goes back to the checkpoint at %d samples, once, and on with half the learning "
            "rate.",
            err,
            checkpoint.step,
        )

    def _save(self) -> None:
        state = self.state
        tensors, values = state.tensors(), state.values(self.env, self.ctx.threads)
        # files beside the checkpoint first: after a kill in between they are written again
        write_json(self.ctx.folder / f"fail_rates_{state.samples}.json", fail_rates_of(self.env))
        self.ctx.checkpoints.save(state.samples, tensors, values, model=self.evaluator.write_policy)

    @property
    def _samples_per_iteration(self) -> int:
        return self.config.steps_per_iter * self.env.num_envs

    def _fail_rates(self) -> dict[str, float]:
        classes = dict(zip(self.env.motion_names, self.env.motion_classes))
        rates = fail_rate_metrics(fail_rates_of(self.env), self.config.logged_motions, classes)
        return {f"fail_rate/{name}": value for name, value in rates.items()}

    def _output(self, losses: Mapping[str, float], fail_rates: Mapping[str, float]) -> None:
        values = self.state.stats.means()
        values |= {
            f"loss/{name}" if name in _LOSSES else f"sac/{name}": value for name, value in losses.items()
        }
        values["sac/replay_rows"] = float(len(self.state.replay))
        values |= {f"time/{name}": value for name, value in self._spent.items()}
        values["time/samples_per_s"] = self._spent_samples / max(sum(self._spent.values()), 1e-9)
        self._spent, self._spent_samples = dict.fromkeys(self._spent, 0.0), 0
        values |= fail_rates
        note = f"reward {values.get('reward/mean', 0.0):.2f}"
        fail = values.get("episode/fail_fraction")
        if fail is not None:
            note += f", fail {100 * fail:.0f} %"
        if self.state.evaluation is not None:
            note += f", followed {100 * self.state.evaluation['success_rate']:.0f} %"
        self._write(values)
        self.ctx.progress.update(self.samples, self.config.max_samples, note)

    def _write(self, values: Mapping[str, float]) -> None:
        self.ctx.metrics.write(self.samples, {f"tracker/{name}": value for name, value in values.items()})

    def _reset(self) -> Tensor:
        self.state.stats.restart()
        obs = self.env.reset()
        self.state.replay.begin(obs)
        return obs


def _adam(parameters: Iterable[nn.Parameter], rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW, fused into one kernel; the second moments average over fewer steps than usual, as in FastSAC."""
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.95), weight_decay=weight_decay, fused=True)
