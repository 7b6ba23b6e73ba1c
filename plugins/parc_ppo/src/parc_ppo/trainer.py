"""The training loop: rollouts, updates, evaluations, checkpoints, and exact resumption."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from parc_core.errors import ConfigError, ProcessLost, SimulationDiverged, TrainingDiverged
from parc_core.interfaces import StageContext, Stopped, TrackerEnv
from parc_ppo.actor_critic import ActorCritic
from parc_ppo.ahead import AheadCollector
from parc_ppo.buffer import RolloutBuffer
from parc_ppo.checks import Elsewhere, fault_of_experience, fault_of_weights
from parc_ppo.config import ModelConfig, PpoConfig
from parc_ppo.hooks import Hooks
from parc_ppo.optimizer import adapted_factor, make_optimizer, set_learning_rate
from parc_ppo.rollout import action_std, collect, explore_prob, prepare
from parc_ppo.training_state import BestPolicy, TrainingState
from parc_ppo.update import update
from parc_rl.divergence import diverged_again
from parc_rl.ema import ema_copy, update_ema
from parc_rl.episodes import run_episodes
from parc_rl.selection import score
from parc_rl.stats import EpisodeStats

__all__ = ["Trainer"]

log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class _Due:
    """What has to be done after an iteration; all episodes restart after any of it."""

    finished: bool
    test: bool
    evaluation: bool
    checkpoint: bool

    def __bool__(self) -> bool:
        return self.finished or self.test or self.evaluation or self.checkpoint


class Trainer:
    """Trains one network on one environment.

    A resumed training equals an uninterrupted one: a checkpoint holds the whole `TrainingState`, and the environment,
    whose simulation it does not hold, resets after each checkpoint in either case. With `overlap` no rollout is
    collected ahead of such a reset.

    With several processes (`StageContext.parallel`) each collects with its own environments and learns from what it
    has collected; gradients, statistics of the normalizer and fail rates are those of all together, so that all hold
    the same weights. The main process evaluates, saves and reports, and its random generators are those of a training
    in one process; the others begin new random numbers after each checkpoint.
    """

    def __init__(
        self,
        config: PpoConfig,
        network: ActorCritic,
        model: ModelConfig,
        env: TrackerEnv,
        ctx: StageContext,
        device: str,
        hooks: Hooks,
    ) -> None:
        self.config, self.env, self.ctx, self.hooks = config, env, ctx, hooks
        self.parallel = ctx.parallel
        if config.batch_size % self.parallel.size:
            raise ConfigError(
                f"agent: batch_size is {config.batch_size}, which {self.parallel.size} processes cannot divide evenly. "
                "Choose a multiple of train_tracker.processes."
            )
        sizes = (config.steps_per_iter, env.num_envs, env.obs_size, len(env.action.lower), device)
        #: the rollout of the present update
        self.buffer = RolloutBuffer(*sizes, hooks.make_extras(env))
        self.state = TrainingState(
            network=network,
            policy=ema_copy(network) if config.average_decay else network,
            model=model,
            optimizer=make_optimizer(config.optimizer, network.parameters()),
            noise=ctx.seeds.torch("action_noise", device),
            shuffle=ctx.seeds.torch("shuffle", device),
            stats=EpisodeStats(env.num_envs, device, self.parallel),
            extras=self.buffer.extras,
        )
        self._next_buffer = RolloutBuffer(*sizes) if config.overlap else self.buffer
        self._ahead: AheadCollector | None = None  # while `run` is at work
        self._next_obs: Tensor | None = None  # observation after the rollout in `_next_buffer`
        self._reward_range = env.reward_range if config.reward_bounds == "auto" else config.reward_bounds
        self._spent = {"rollout_s": 0.0, "update_s": 0.0, "other_s": 0.0}  # wall time since the last output
        self._spent_samples = 0

    @property
    def policy(self) -> ActorCritic:
        """The policy to evaluate and to save."""
        return self.state.policy

    @property
    def samples(self) -> int:
        """Control steps so far, summed over all environments."""
        return self.state.samples

    def run(self, *, restored: bool) -> None:
        """Train until `max_samples`; afterwards `policy` is the one to save.

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
            where = str(self.ctx.checkpoints.folder)
            state.load(checkpoint, self.env, self.ctx.threads, self.parallel.size, where)
            log.info("continuing at iteration %d, %d samples", state.iteration, state.samples)
        self._begin_together()
        if checkpoint is None:
            self._warm_up()
            if restored and self.config.select == "best" and self.parallel.is_main:
                self._evaluate()
            self._save()
        if self.config.overlap:
            self._ahead = AheadCollector(self.env, state.network, state.noise, state.stats)
        try:
            self._loop()
        finally:
            if self._ahead is not None:
                self._ahead.close()
        if self.config.select == "best" and state.best is not None:
            state.policy.load_state_dict(state.best.weights)

    def summary(self) -> dict[str, Any]:
        """What the policy's file says about its training."""
        best = self.state.best if self.config.select == "best" else None
        kept = {"select": self.config.select, "samples": best.samples if best else self.samples}
        return {"kept": kept, "evaluation": best.evaluation if best else self.state.evaluation}

    def weights(self) -> Mapping[str, Tensor]:
        """Those of the policy that would be kept if the training ended now."""
        best = self.state.best if self.config.select == "best" else None
        return best.weights if best else self.state.policy.state_dict()

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
        """A rollout from `obs` on and an update; the observation after the rollout, ``[N, O]``."""
        config, state = self.config, self.state
        begin = time.perf_counter()
        # 1. exploration: probability of sampled actions, and their standard deviation where it is scheduled
        sample_prob = explore_prob(config, state.samples)
        if config.model.final_action_std is not None:
            state.network.set_std(action_std(config, state.samples))
        # 2. a rollout of H steps in N environments, unless it was collected during the last update
        if self._next_obs is None:
            obs = collect(self.env, state.network, self.buffer, obs, state.noise, sample_prob, state.stats)
        else:
            self.buffer, self._next_buffer = self._next_buffer, self.buffer
            obs, self._next_obs = self._next_obs, None
        self._raise_together(fault_of_experience(self.buffer, state))
        collected = time.perf_counter()
        # 3. the update; with `overlap` the next rollout runs beside it, with the policy from before it
        self._collect_ahead(obs)
        try:
            metrics = self._learn(sample_prob)
            learned_at = time.perf_counter()
        finally:
            self._next_obs = self._ahead.finish() if self._ahead is not None else None
        self.env.synchronize(self.parallel)
        self._spent["rollout_s"] += collected - begin + time.perf_counter() - learned_at
        self._spent["update_s"] += learned_at - collected
        # 4. metrics
        if state.iteration % config.iters_per_output == 0 or state.samples >= config.max_samples:
            self._output(metrics)
        return obs

    def _collect_ahead(self, obs: Tensor) -> None:
        """Start the next rollout, unless episodes restart before it."""
        samples = self.samples + self._samples_per_iteration
        if self._ahead is not None and not self._due(self.state.iteration + 1, samples):
            sample_prob = explore_prob(self.config, samples)
            self._ahead.start(self.state.network, self._next_buffer, obs, sample_prob)

    def _learn(self, sample_prob: float) -> dict[str, float]:
        """Update the networks with the rollout in the buffer; metrics by name."""
        config, state = self.config, self.state
        network, progress = state.network, state.samples / config.max_samples
        # TD(lambda) returns and generalized advantage estimates
        batch = prepare(network, self.buffer, config, sample_prob, self._reward_range, self.parallel)
        # epochs of PPO at the scheduled, KL-adaptive learning rate
        rate = set_learning_rate(state.optimizer, config.optimizer, progress, state.learning_rate_factor)
        losses = update(network, state.optimizer, batch, config, state.shuffle, self.parallel)
        state.rate_factor = adapted_factor(state.rate_factor, losses["kl"], config.optimizer.kl_target)
        # the normalizer changes after the update: the whole rollout was normalized alike
        network.normalizer.record(self.buffer.obs[:-1], self.parallel)
        network.normalizer.apply_recorded()
        self._raise_together(fault_of_weights(network, losses, state))
        state.iteration += 1
        if state.has_ema:
            update_ema(state.policy, network, config.average_decay, state.iteration)
        state.samples += self._samples_per_iteration
        self._spent_samples += self._samples_per_iteration
        return {**losses, **batch.stats, "learning_rate": rate, "explore_prob": sample_prob}

    # --- between iterations

    def _between(self) -> bool:
        """Test, evaluate and save where due; whether episodes have to restart."""
        begin = time.perf_counter()
        due = self._due(self.state.iteration, self.samples)
        is_main = self.parallel.is_main  # which tests and evaluates with its environments; the others wait
        if due.test and is_main:
            found = run_episodes(self.env, self.policy.act, self.config.test_episodes)
            found = self.hooks.select_test(found)
            self._write({f"test/{name}": value for name, value in found.items()})
        if due.evaluation and is_main:
            self._evaluate()
        if due.checkpoint:
            self._save()
        self._spent["other_s"] += time.perf_counter() - begin
        return bool(due) and not due.finished

    def _due(self, iteration: int, samples: int) -> _Due:
        """What has to be done after an iteration.

        Args:
            iteration: its number, from 1.
            samples: at its end, since the beginning of the training.
        """
        config = self.config
        finished = samples >= config.max_samples
        every, before = config.samples_per_checkpoint, samples - self._samples_per_iteration
        by_samples = every > 0 and samples // every > before // every
        return _Due(
            finished=finished,
            test=config.test_episodes > 0 and iteration % config.iters_per_output == 0,
            evaluation=finished or (config.eval_every_iters > 0 and iteration % config.eval_every_iters == 0),
            checkpoint=finished or by_samples or iteration % config.iters_per_checkpoint == 0,
        )

    def _evaluate(self) -> None:
        config, state = self.config, self.state
        found = self.hooks.evaluate(self.env, config.eval_start_fractions)
        found |= self.hooks.robustness(self.env, config.eval_survival_frames, config.eval_perturbed)
        state.evaluation, reached = found, score(found, self.env)
        values = {"success_rate": found["success_rate"], "tracked_fraction": reached.tracked}
        values |= {name: found[name]["share"] for name in ("survival", "perturbed") if name in found}
        values |= {f"error_{name}": value for name, value in found["errors"].items()}
        self._write({f"eval/{name}": value for name, value in values.items()})
        log.info("%d samples: %.0f %% of motions followed", state.samples, 100 * found["success_rate"])
        if config.select == "best" and (state.best is None or reached > state.best.score):
            weights = {name: value.detach().clone() for name, value in state.policy.state_dict().items()}
            state.best = BestPolicy(score=reached, samples=state.samples, evaluation=found, weights=weights)

    def _raise_together(self, fault: SimulationDiverged | TrainingDiverged | None) -> None:
        """Raise in every process what one of them has found."""
        if self.parallel.any(fault is not None):
            raise fault or Elsewhere("another process of the training found numbers that are not finite")

    def _go_back(self, err: SimulationDiverged | TrainingDiverged) -> None:
        """Take back what happened since the last checkpoint, and go on from there with smaller steps; collective.

        Raises:
            SimulationDiverged, TrainingDiverged: it has gone back before.
            ProcessLost: the same, found by another process.
        """
        state, checkpoint = self.state, self.ctx.checkpoints.latest()
        if state.went_back is not None or checkpoint is None:
            if isinstance(err, Elsewhere):
                raise ProcessLost(str(err)) from err
            raise type(err)(
                diverged_again(err, state.went_back, self.config.optimizer.learning_rate)
            ) from err
        where = str(self.ctx.checkpoints.folder)
        state.load(checkpoint, self.env, self.ctx.threads, self.parallel.size, where)
        state.went_back = {"cause": str(err), "to": checkpoint.step}
        self._next_obs = None
        self.env.statistics()  # those of the episodes that are taken back
        self.parallel.barrier()  # nobody writes before all have read
        self._begin_together()
        if self.parallel.is_main:
            self._write_checkpoint()
        log.warning(
            "tracker training, %s. It goes back to the checkpoint at %d samples, once, and on with half the learning "
            "rate.",
            err,
            checkpoint.step,
        )

    def _save(self) -> None:
        self.state.stats.merge()
        self.env.synchronize(self.parallel)
        if self.parallel.is_main:
            self._write_checkpoint()
        else:
            self._reseed()

    def _write_checkpoint(self) -> None:
        state = self.state
        tensors, values = state.tensors(), state.values(self.env, self.ctx.threads, self.parallel.size)
        # files beside the checkpoint first: after a kill in between they are written again
        self.hooks.on_checkpoint(self.env, self.ctx, state.samples)
        self.ctx.checkpoints.save(state.samples, tensors, values, model=self.hooks.write_policy)

    def _begin_together(self) -> None:
        """Agree on the weights, after all processes have looked for a checkpoint; all but the main one are reseeded."""
        if self.parallel.size == 1:
            return
        for network in (self.state.network, self.state.policy):
            values = network.state_dict().values()
            self.parallel.broadcast_([value for value in values if value.dtype != torch.bool])
        self.env.synchronize(self.parallel)
        if not self.parallel.is_main:
            self._reseed()

    def _reseed(self) -> None:
        """Random numbers of this process from here on, which no checkpoint holds: they follow from its number."""
        seeds = self.ctx.seeds.child("process", number=self.parallel.rank, samples=self.samples)
        for name, stream in (("action_noise", self.state.noise), ("shuffle", self.state.shuffle)):
            stream.manual_seed(seeds.integer(name) % (1 << 63))
        self.env.reseed(seeds.integer("env") % (1 << 63))

    @property
    def _samples_per_iteration(self) -> int:
        """Control steps of a rollout, of all environments of all processes."""
        return self.buffer.reward.numel() * self.parallel.size

    def _output(self, metrics: dict[str, float]) -> None:
        values = self.state.stats.means()
        losses = ("actor", "critic", "bound", "entropy", "reg")
        values |= {
            f"loss/{name}" if name in losses else f"ppo/{name}": value for name, value in metrics.items()
        }
        values |= {f"time/{name}": value for name, value in self._spent.items()}
        values["time/samples_per_s"] = self._spent_samples / max(sum(self._spent.values()), 1e-9)
        self._spent, self._spent_samples = dict.fromkeys(self._spent, 0.0), 0
        fail = values.get("episode/fail_fraction")
        note = f"reward {values.get('reward/mean', 0.0):.2f}"
        if fail is not None:
            note += f", fail {100 * fail:.0f} %"
        if self.state.evaluation is not None:
            note += f", followed {100 * self.state.evaluation['success_rate']:.0f} %"
        self._write(self.hooks.select_metrics(values, self.env))
        self.ctx.progress.update(self.samples, self.config.max_samples, note)

    def _write(self, values: dict[str, float]) -> None:
        self.ctx.metrics.write(self.samples, {f"tracker/{name}": value for name, value in values.items()})

    def _reset(self) -> Tensor:
        self.state.stats.restart()
        if self.buffer.extras is not None:
            self.buffer.extras.restart()
        return self.env.reset()

    @torch.no_grad()
    def _warm_up(self) -> None:
        """Initialize the normalizer with observations before the first update; these samples count."""
        state, normalizer = self.state, self.state.network.normalizer
        if not self.config.normalizer_warmup_steps or normalizer.is_frozen or int(normalizer.count):
            return
        obs = self.env.reset()
        for _ in range(self.config.normalizer_warmup_steps):
            normalizer.record(obs, self.parallel)
            obs = self.env.step(state.network.act(obs, state.noise)).obs
            state.samples += len(obs) * self.parallel.size
        normalizer.apply_recorded()
        state.policy.normalizer.load_state_dict(normalizer.state_dict())
