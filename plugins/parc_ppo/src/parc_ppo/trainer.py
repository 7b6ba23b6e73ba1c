"""The training loop: rollouts, updates, evaluations, checkpoints, and exact continuation."""

from __future__ import annotations

import collections
import logging
import time
from typing import Any, Protocol

import attrs
import torch
from torch import Tensor

from parc_core.errors import SimulationDiverged, StageFailed
from parc_core.interfaces import StageContext, Stopped, TrackerEnv
from parc_motion.errors import DataError
from parc_ppo.ahead import AheadCollector
from parc_ppo.average import averaged_copy, follow
from parc_ppo.buffer import RolloutBuffer
from parc_ppo.config import ModelConfig, PpoConfig
from parc_ppo.episodes import run_episodes
from parc_ppo.extras import ExperienceExtras
from parc_ppo.networks import PolicyNetwork
from parc_ppo.optimizer import (
    adapted_factor,
    load_optimizer,
    make_optimizer,
    optimizer_tensors,
    set_learning_rate,
)
from parc_ppo.rollout import action_std, collect, explore_prob, prepare
from parc_ppo.selection import Score, score
from parc_ppo.stats import EpisodeStats
from parc_ppo.update import update

__all__ = ["Hooks", "Trainer"]

log = logging.getLogger(__name__)


class Hooks(Protocol):
    """What an agent adds to the loop."""

    def evaluate(self, env: TrackerEnv, start_fractions: tuple[float, ...] = (0.0,)) -> dict[str, Any]:
        """Follow every motion with the network as it is now."""

    def robustness(self, env: TrackerEnv, every: int, tries: int) -> dict[str, Any]:
        """``survival`` of every k-th start frame and of that many ``perturbed`` starts per motion; 0: left out."""

    def select_metrics(self, values: dict[str, float], env: TrackerEnv) -> dict[str, float]:
        """Choose and add to the metrics of one output."""

    def on_checkpoint(self, env: TrackerEnv, ctx: StageContext, samples: int) -> None:
        """A checkpoint is about to be written."""

    def select_test(self, found: dict[str, float]) -> dict[str, float]:
        """Choose of what test episodes gave."""

    def make_extras(self, env: TrackerEnv) -> ExperienceExtras | None:
        """What to keep of every step besides what is learned from; None: nothing."""


@attrs.define(kw_only=True)
class _Best:
    """The best evaluation so far, and its weights."""

    score: Score
    samples: int
    evaluation: dict[str, Any]
    weights: dict[str, Tensor]


@attrs.frozen(kw_only=True)
class _Due:
    """What has to be done after an iteration; anything of it makes all episodes begin anew."""

    finished: bool
    test: bool
    evaluation: bool
    checkpoint: bool

    def __bool__(self) -> bool:
        return self.finished or self.test or self.evaluation or self.checkpoint


class Trainer:
    """Trains one network on one environment.

    Interrupted and continued it does exactly what it would have done: everything that matters is in the
    checkpoints, and the environment, whose inner state is not, begins anew at each of them in either case. With
    `overlap` no rollout is collected ahead of such a break.
    """

    def __init__(
        self,
        config: PpoConfig,
        network: PolicyNetwork,
        model: ModelConfig,
        env: TrackerEnv,
        ctx: StageContext,
        device: str,
        hooks: Hooks,
    ) -> None:
        self.config, self.network, self.model = config, network, model
        self.env, self.ctx, self.hooks = env, ctx, hooks
        #: the policy to show and to keep
        self.policy = averaged_copy(network) if config.average_decay else network
        self.iteration, self.samples = 0, 0
        self.best: _Best | None = None
        self.evaluation: dict[str, Any] | None = None
        self._optimizer = make_optimizer(config.optimizer, network.parameters())
        self._noise = ctx.seeds.torch("action_noise", device)
        self._shuffle = ctx.seeds.torch("shuffle", device)
        action_size = len(env.action.lower)
        sizes = (config.steps_per_iter, env.num_envs, env.obs_size, action_size, device)
        #: the rollout that is learned from
        self.buffer = RolloutBuffer(*sizes, hooks.make_extras(env))
        self._next_buffer = RolloutBuffer(*sizes) if config.overlap else self.buffer
        self._ahead: AheadCollector | None = None  # while `run` is at work
        self._next_obs: Tensor | None = None  # what follows the rollout that was collected ahead
        self._reward_range = env.reward_range if config.reward_bounds == "auto" else config.reward_bounds
        self._rate_factor = 1.0  # of the step size, where it follows the divergence of updates
        self._stats = EpisodeStats(env.num_envs, device)
        self._spent = {"rollout_s": 0.0, "update_s": 0.0, "other_s": 0.0}
        self._spent_samples = 0

    def run(self, *, restored: bool) -> None:
        """Train until `max_samples`; afterwards `policy` is the one to keep.

        Args:
            restored: the network is a policy already: it too may be the best one.

        Raises:
            Stopped: the user asked for it.
            StageFailed: losses or weights are not finite any more.
            SimulationDiverged: the environment gave numbers that are not finite.
        """
        checkpoint = self.ctx.checkpoints.latest()
        if checkpoint is None:
            self._warm_up()
            if restored and self.config.select == "best":
                self._evaluate()
            self._save()
        else:
            self._load(checkpoint.tensors, checkpoint.state)
        if self.config.overlap:
            self._ahead = AheadCollector(self.env, self.network, self._noise, self._stats)
        try:
            self._loop()
        finally:
            if self._ahead is not None:
                self._ahead.close()
        if self.config.select == "best" and self.best is not None:
            self.policy.load_state_dict(self.best.weights)

    def summary(self) -> dict[str, Any]:
        """What the policy should say about its training."""
        best = self.best if self.config.select == "best" else None
        kept = {"select": self.config.select, "samples": best.samples if best else self.samples}
        return {"kept": kept, "evaluation": best.evaluation if best else self.evaluation}

    # --- one iteration

    def _loop(self) -> None:
        obs = self._reset()
        while self.samples < self.config.max_samples:
            if self.ctx.should_stop():
                # the newest checkpoint is the one to go on from: one written here would begin new episodes
                # where an undisturbed run has none, and end elsewhere
                raise Stopped
            obs = self._iterate(obs)
            if self._between():
                obs = self._reset()

    def _iterate(self, obs: Tensor) -> Tensor:
        config = self.config
        begin = time.perf_counter()
        share = explore_prob(config, self.samples)
        if config.model.final_action_std is not None:
            self.network.set_std(action_std(config, self.samples))
        if self._next_obs is None:
            obs = collect(self.env, self.network, self.buffer, obs, self._noise, share, self._stats)
        else:
            self.buffer, self._next_buffer = self._next_buffer, self.buffer
            obs, self._next_obs = self._next_obs, None
        self._check_experience()
        collected = time.perf_counter()
        self._collect_ahead(obs)
        try:
            ppo = self._learn(share)
            learned_at = time.perf_counter()
        finally:
            self._next_obs = self._ahead.finish() if self._ahead is not None else None
        self._spent["rollout_s"] += collected - begin + time.perf_counter() - learned_at
        self._spent["update_s"] += learned_at - collected
        if self.iteration % config.iters_per_output == 0 or self.samples >= config.max_samples:
            self._output(ppo)
        return obs

    def _collect_ahead(self, obs: Tensor) -> None:
        """Begin the next rollout, unless episodes begin anew before it."""
        samples = self.samples + self.buffer.reward.numel()
        if self._ahead is not None and not self._due(self.iteration + 1, samples):
            share = explore_prob(self.config, samples)
            self._ahead.start(self.network, self._next_buffer, obs, share)

    def _learn(self, share: float) -> dict[str, float]:
        """Learn from the rollout in the buffer; what is to be told of it."""
        config = self.config
        batch = prepare(self.network, self.buffer, config, share, self._reward_range)
        rate = set_learning_rate(
            self._optimizer, config.optimizer, self.samples / config.max_samples, self._rate_factor
        )
        learned = update(self.network, self._optimizer, batch, config, self._shuffle)
        self._check_weights(learned)
        self._rate_factor = adapted_factor(self._rate_factor, learned["kl"], config.optimizer.kl_target)
        normalizer = self.network.normalizer
        normalizer.record(self.buffer.obs[:-1])
        normalizer.apply_recorded()
        self.iteration += 1
        if self.policy is not self.network:
            follow(self.policy, self.network, config.average_decay, self.iteration)
        self._count_samples()
        return {**learned, **batch.stats, "learning_rate": rate, "explore_prob": share}

    def _count_samples(self) -> None:
        collected = self.buffer.reward.numel()
        self.samples += collected
        self._spent_samples += collected

    def _check_experience(self) -> None:
        buffer = self.buffer
        for what, values in (("an observation", buffer.obs), ("a reward", buffer.reward)):
            if not bool(torch.isfinite(values.sum())):
                where = (~torch.isfinite(values.flatten(2) if values.dim() > 2 else values)).nonzero()
                at = f", first in environment {int(where[0, 1])}" if len(where) else ""
                raise SimulationDiverged(
                    f"{self._where()}: {what} of the environment is not finite{at}. Environments "
                    f"replace a diverged simulation; check its time step and limits. {self._advice()}"
                )

    def _check_weights(self, learned: dict[str, float]) -> None:
        bad = [name for name, value in learned.items() if value != value or abs(value) == float("inf")]
        finite = all(bool(torch.isfinite(parameter).all()) for parameter in self.network.parameters())
        if bad or not finite:
            what = f"{', '.join(bad)} not finite" if bad else "a weight is not finite"
            raise StageFailed(
                f"{self._where()}: {what}. A smaller optimizer.learning_rate or max_grad_norm helps. "
                f"{self._advice()}"
            )

    def _where(self) -> str:
        return f"tracker training, iteration {self.iteration + 1} ({self.samples} samples)"

    def _advice(self) -> str:
        steps = self.ctx.checkpoints.steps()
        return (
            f"The checkpoint at {steps[-1]} samples is whole; run again to continue from it." if steps else ""
        )

    # --- between iterations

    def _between(self) -> bool:
        """Evaluate, test and save where due; whether episodes have to begin anew."""
        begin = time.perf_counter()
        due = self._due(self.iteration, self.samples)
        if due.test:
            found = self.hooks.select_test(run_episodes(self.env, self.policy, self.config.test_episodes))
            self._write({f"test/{name}": value for name, value in found.items()})
        if due.evaluation:
            self._evaluate()
        if due.checkpoint:
            self._save()
        self._spent["other_s"] += time.perf_counter() - begin
        return bool(due) and not due.finished

    def _due(self, iteration: int, samples: int) -> _Due:
        """What has to be done after an iteration that ends with so many samples."""
        config = self.config
        finished = samples >= config.max_samples
        every, before = config.samples_per_checkpoint, samples - self.buffer.reward.numel()
        by_samples = every > 0 and samples // every > before // every
        return _Due(
            finished=finished,
            test=config.test_episodes > 0 and iteration % config.iters_per_output == 0,
            evaluation=finished or (config.eval_every_iters > 0 and iteration % config.eval_every_iters == 0),
            checkpoint=finished or by_samples or iteration % config.iters_per_checkpoint == 0,
        )

    def _evaluate(self) -> None:
        config = self.config
        found = self.hooks.evaluate(self.env, config.eval_start_fractions)
        found |= self.hooks.robustness(self.env, config.eval_survival_frames, config.eval_perturbed)
        self.evaluation, reached = found, score(found, self.env)
        values = {"success_rate": found["success_rate"], "tracked_fraction": reached.tracked}
        values |= {name: found[name]["share"] for name in ("survival", "perturbed") if name in found}
        values |= {f"error_{name}": value for name, value in found["errors"].items()}
        self._write({f"eval/{name}": value for name, value in values.items()})
        log.info("%d samples: %.0f %% of motions followed", self.samples, 100 * found["success_rate"])
        if config.select == "best" and (self.best is None or reached > self.best.score):
            weights = {name: value.detach().clone() for name, value in self.policy.state_dict().items()}
            self.best = _Best(score=reached, samples=self.samples, evaluation=found, weights=weights)

    def _output(self, ppo: dict[str, float]) -> None:
        values = self._stats.means()
        losses = ("actor", "critic", "bound", "entropy", "reg")
        values |= {f"loss/{name}" if name in losses else f"ppo/{name}": value for name, value in ppo.items()}
        values |= {f"time/{name}": value for name, value in self._spent.items()}
        values["time/samples_per_s"] = self._spent_samples / max(sum(self._spent.values()), 1e-9)
        self._spent, self._spent_samples = dict.fromkeys(self._spent, 0.0), 0
        fail = values.get("episode/fail_fraction")
        note = f"reward {values.get('reward/mean', 0.0):.2f}" + (
            f", fail {100 * fail:.0f} %" if fail is not None else ""
        )
        if self.evaluation is not None:
            note += f", followed {100 * self.evaluation['success_rate']:.0f} %"
        self._write(self.hooks.select_metrics(values, self.env))
        self.ctx.progress.update(self.samples, self.config.max_samples, note)

    def _write(self, values: dict[str, float]) -> None:
        self.ctx.metrics.write(self.samples, {f"tracker/{name}": value for name, value in values.items()})

    def _reset(self) -> Tensor:
        self._stats.restart()
        if self.buffer.extras is not None:
            self.buffer.extras.restart()
        return self.env.reset()

    @torch.no_grad()
    def _warm_up(self) -> None:
        """Let the normaliser see observations before the first update; the samples count."""
        normalizer = self.network.normalizer
        if not self.config.normalizer_warmup_steps or normalizer.is_frozen or int(normalizer.count):
            return
        obs = self.env.reset()
        for _ in range(self.config.normalizer_warmup_steps):
            normalizer.record(obs)
            obs = self.env.step(self.network.act(obs, self._noise)).obs
            self.samples += len(obs)
        normalizer.apply_recorded()
        self.policy.normalizer.load_state_dict(normalizer.state_dict())

    # --- checkpoints

    def _save(self) -> None:
        groups = {
            "network": self.network.state_dict(),
            "policy": {} if self.policy is self.network else self.policy.state_dict(),
            "optimizer": optimizer_tensors(self._optimizer),
            "best": self.best.weights if self.best else {},
            "rng": {"noise": self._noise.get_state(), "shuffle": self._shuffle.get_state()},
            "stats": self._stats.tensors(),
            "extras": self.buffer.extras.tensors() if self.buffer.extras else {},
        }
        best = self.best and {
            "score": attrs.asdict(self.best.score),
            "samples": self.best.samples,
            "evaluation": self.best.evaluation,
        }
        state = {
            "iteration": self.iteration,
            "samples": self.samples,
            "threads": self.ctx.threads,
            "model": attrs.asdict(self.model),
            "normalizer_samples": self.network.normalizer.max_samples,
            "rate_factor": self._rate_factor,
            "evaluation": self.evaluation,
            "best": best,
            "curriculum": self.env.curriculum_state(),
        }
        tensors = {
            f"{group}/{name}": value for group, entry in groups.items() for name, value in entry.items()
        }
        # first what lies beside it: who is killed in between writes it once more
        self.hooks.on_checkpoint(self.env, self.ctx, self.samples)
        self.ctx.checkpoints.save(self.samples, tensors, state)

    def _load(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Put everything back."""
        if state["model"] != attrs.asdict(self.model):
            raise DataError(
                f"{self.ctx.checkpoints.folder}: its networks are {state['model']}, the settings say "
                f"{attrs.asdict(self.model)}. Set them back, or remove the checkpoints to train anew."
            )
        if state["threads"] != self.ctx.threads:
            log.warning("Checkpoint of a run with %d threads, now %d: results will differ in the last bits.",
                        state["threads"], self.ctx.threads)  # fmt: skip
        groups: dict[str, dict[str, Tensor]] = collections.defaultdict(dict)
        for key, value in tensors.items():
            group, name = key.split("/", 1)
            groups[group][name] = value
        self.network.load_state_dict(groups["network"])
        if self.policy is not self.network:
            # a run whose `average_decay` was set only now has none in its checkpoint: the average begins here
            self.policy.load_state_dict(groups["policy"] or groups["network"])
        self.network.normalizer.max_samples = state["normalizer_samples"]
        load_optimizer(self._optimizer, groups["optimizer"])
        self._noise.set_state(groups["rng"]["noise"])
        self._shuffle.set_state(groups["rng"]["shuffle"])
        self._stats.load(groups["stats"])
        if self.buffer.extras is not None and groups["extras"]:  # else they were not recorded until now
            self.buffer.extras.load(groups["extras"])
        self._rate_factor = state.get("rate_factor", 1.0)
        self.iteration, self.samples = state["iteration"], state["samples"]
        self.evaluation = state["evaluation"]
        if state["best"]:
            fields = {**state["best"], "score": Score(**state["best"]["score"])}
            self.best = _Best(**fields, weights=groups["best"])
        self.env.load_curriculum(state["curriculum"])
        log.info("continuing at iteration %d, %d samples", self.iteration, self.samples)
