"""Agent `ppo`."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import attrs
import torch
from torch import Tensor

from parc_core.errors import StageFailed
from parc_core.interfaces import Agent, Policy, StageContext, TrackerEnv
from parc_ppo.actor_critic import ActorCritic
from parc_ppo.config import ModelConfig, PpoConfig
from parc_ppo.extras import ExperienceExtras
from parc_ppo.policy_io import AGENTS, load_network, make_network, save_policy
from parc_ppo.rollout import explore_prob
from parc_ppo.script import Stepper, documented_names, script_context
from parc_ppo.trainer import Trainer
from parc_rl.episodes import run_episodes
from parc_rl.threads import torch_threads

__all__ = ["PpoAgent"]


class PpoAgent(Agent):
    """Proximal policy optimization of a tracking policy.

    The runner uses `train`,
    `restore`, `act` and `evaluate`. A script may give the agent its environment and use the documented methods:

    >>> agent = PpoAgent(PpoConfig(), env=env)
    >>> agent.train_model(1_000_000, "output/model", "output/checkpoints")
    >>> agent.test_model(32)["mean_return"]
    """

    name, data_parallel = "ppo", True
    accepts = frozenset(AGENTS)

    def __init__(self, config: PpoConfig, *, device: str = "cpu", env: TrackerEnv | None = None) -> None:
        self.config, self.device, self.env = config, device, env
        self._network: ActorCritic | None = None
        self._model: ModelConfig | None = None
        self._restored = False
        self._noise = torch.Generator(device=device)
        self._trainer: Trainer | None = None
        self._stepper: Stepper | None = None
        self._explores = True

    # --- what every agent does

    def train(self, env: TrackerEnv, ctx: StageContext) -> Policy:
        """See `Agent.train`. The normalizer of a restored policy does not change."""
        return self._learn(self.config, env, ctx, ctx.folder / "policy")

    def restore(self, policy: Policy, env: TrackerEnv) -> None:
        """See `Agent.restore`; policies of `ppo` and `dmppo` serve both."""
        self._network, self._model = load_network(policy, self.config, env, self.device)
        self._network.normalizer.max_samples = 0
        self._restored, self._trainer = True, None

    def start(self, env: TrackerEnv) -> None:
        """See `Agent.start`: sampled actions are the same in every playback."""
        self._noise.manual_seed(0)

    def act(self, env: TrackerEnv, obs: Tensor, deterministic: bool = True) -> Tensor:
        """See `Agent.act`."""
        return self._policy().act(obs, None if deterministic else self._noise)

    def evaluate(self, env: TrackerEnv, start_fractions: tuple[float, ...] = (0.0,)) -> dict[str, Any]:
        """See `Agent.evaluate`."""
        self._stepper = None  # its episodes are over
        with torch.no_grad():
            return super().evaluate(env, start_fractions)

    def robustness(self, env: TrackerEnv, every: int = 0, tries: int = 0) -> dict[str, Any]:
        """See `Agent.robustness`."""
        self._stepper = None
        with torch.no_grad():
            return super().robustness(env, every, tries)

    # --- for scripts

    def train_model(
        self,
        max_samples: int,
        out_model_file: str | os.PathLike[str],
        int_output_dir: str | os.PathLike[str],
        log_file: str | os.PathLike[str] | None = None,
        logger_type: str | None = "jsonl",
        *,
        seed: int = 0,
        threads: int = 1,
    ) -> Policy:
        """Train on the agent's environment until `max_samples` control steps, of all environments together, are done.

        Unlike the published method, a training that finds its own checkpoints resumes exactly from the
        newest one, metrics go to an installed metric sink, and no file is a pickle.

        Args:
            out_model_file: folder of the policy, ``policy.json`` and ``policy.safetensors``.
            int_output_dir: folder of checkpoints, metrics, and of fail rates (`dmppo`).
            log_file: text file to which a line per report is appended; None: no log.
            logger_type: name of a metric sink, see ``parc plugins``; None: no metrics.
            seed: of initial weights, actions and the order of samples; the environment has another one.
            threads: number of threads for PyTorch; it changes the last bits of results.

        Raises:
            UnknownProvider: no metric sink of that name is installed.
            StageFailed: the agent was made without an environment, or losses are not finite any more.
        """
        env = self._own_env("train_model")
        config = attrs.evolve(self.config, max_samples=max_samples)
        log = None if log_file is None else pathlib.Path(log_file)
        with script_context(pathlib.Path(int_output_dir), log, logger_type, seed, threads) as ctx:
            return self._learn(config, env, ctx, pathlib.Path(out_model_file))

    def test_model(self, num_episodes: int = 32) -> dict[str, Any]:
        """Episodes with mean actions from random starts: ``mean_return``, ``mean_ep_len`` and ``num_eps``.

        `num_eps` may exceed `num_episodes`: every environment contributes the same number, otherwise short episodes
        would be counted more often. `dmppo` adds mean tracking errors: ``test_mean_root_pos_tracking_err``,
        ``..._root_rot_...``, ``..._body_pos_...``, ``..._body_rot_...``, ``..._dof_vel_...``, ``..._root_vel_...`` and
        ``test_mean_root_ang_vel_err``. The environment counts these episodes in its fail rates.
        """
        env, self._stepper = self._own_env("test_model"), None
        return documented_names(self.select_test(run_episodes(env, self._policy().act, num_episodes)))

    def step(self) -> tuple[Tensor, Tensor, Tensor, dict[str, Any], Tensor, dict[str, Tensor]]:
        """One control step of the agent's environment in training mode: next obs, reward, done, info, action, more.

        The last is ``{"a_logp": [N], "rand_action_mask": [N] bool}``: log density of the (normalized) action, and
        whether it was sampled. After `eval_mode` actions are mean actions; after `train_mode` (the default) they are
        sampled with the probability of this point of the training. `info` holds `final_obs`, `errors` and
        `reward_terms` of `parc_core.interfaces.Step`. Episodes restart automatically; the first call, and the first
        after `reset`, `test_model`, training or an evaluation, resets the environment.
        """
        env, network = self._own_env("step"), self._policy()
        if self._stepper is None:
            self._stepper = Stepper(env, self._noise)
        sample_prob = explore_prob(self.config, self._trainer.samples if self._trainer else 0)
        step, action, more = self._stepper.step(network, sample_prob if self._explores else 0.0)
        info = {"final_obs": step.final_obs, "errors": step.errors, "reward_terms": step.reward_terms}
        return step.obs, step.reward, step.done, info, action, more

    def reset(self) -> Tensor:
        """Start new episodes everywhere for `step`; the observation ``[N, O]``."""
        self._stepper = Stepper(self._own_env("reset"), self._noise)
        return self._stepper.obs

    def eval_mode(self) -> None:
        """`step` uses mean actions from now on."""
        self._explores = False

    def train_mode(self) -> None:
        """`step` samples actions from now on."""
        self._explores = True

    def load(self, folder: str | os.PathLike[str]) -> None:
        """Use the policy in a folder for the agent's environment; see `restore`."""
        env = self._own_env("load")
        self.restore(Policy.load(pathlib.Path(folder)), env)

    # --- hooks of the training loop

    def select_metrics(self, values: dict[str, float], env: TrackerEnv) -> dict[str, float]:
        """All but tracking errors."""
        return {name: value for name, value in values.items() if not name.startswith("error/")}

    def select_test(self, found: dict[str, float]) -> dict[str, float]:
        """All but tracking errors, of the results of test episodes."""
        return {name: value for name, value in found.items() if not name.endswith("_tracking_err")}

    def on_checkpoint(self, env: TrackerEnv, ctx: StageContext, samples: int) -> None:
        """Nothing to add."""

    def write_policy(self, folder: pathlib.Path) -> None:
        """Write the policy that would be kept if the training ended now."""
        if self._trainer is None:
            raise StageFailed(f"agent '{self.name}': there is no training whose policy could be written.")
        self._save(self._trainer, folder)

    def make_extras(self, env: TrackerEnv) -> ExperienceExtras | None:
        """None."""
        return None

    # --- inside

    def _learn(self, config: PpoConfig, env: TrackerEnv, ctx: StageContext, folder: pathlib.Path) -> Policy:
        """Train, and write the policy into a folder."""
        if self._network is None or self._model is None:
            self._model = config.model
            rng = ctx.seeds.torch("init")
            self._network = make_network(config, self._model, env, self.device, rng, config.obs_clip)
        self._stepper = None
        # with `overlap` the simulator's threads collect meanwhile and get the other half of the cores
        with torch_threads(max(1, ctx.threads // 2) if config.overlap else ctx.threads):
            trainer = Trainer(config, self._network, self._model, env, ctx, self.device, self)
            self._trainer = trainer
            self._network = trainer.policy  # `act` uses it, also during the training
            trainer.run(restored=self._restored)
        return self._save(trainer, folder, write=ctx.parallel.is_main)

    def _save(self, trainer: Trainer, folder: pathlib.Path, write: bool = True) -> Policy:
        return save_policy(
            trainer.policy,
            folder,
            agent=self.name,
            model=trainer.state.model,
            env=trainer.env,
            samples=trainer.samples,
            extra=trainer.summary(),
            weights=trainer.weights(),
            write=write,
        )

    def _policy(self) -> ActorCritic:
        if self._network is None:
            raise StageFailed(
                f"agent '{self.name}': asked to act without a policy. Call train or restore first."
            )
        return self._network

    def _own_env(self, method: str) -> TrackerEnv:
        if self.env is None:
            raise StageFailed(
                f"agent '{self.name}': {method} works on the agent's own environment, and it has none. Make the agent "
                f"with env=..."
            )
        return self.env
