"""Gradient steps of critics, actor and temperature with batches from the replay."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parc_core.interfaces import stop_point
from parc_sac.config import SacConfig
from parc_sac.losses import actor_loss, alpha_loss, critic_loss, expected, pick_smaller, project
from parc_sac.networks import SacNetwork
from parc_sac.replay import Drawn
from parc_sac.training_state import TrainingState

__all__ = ["learn", "target_distribution"]


def learn(
    state: TrainingState, config: SacConfig, *, target_entropy: float, train_actor: bool
) -> dict[str, float]:
    """The gradient steps of one iteration; mean losses by name.

    A value that is not finite means that the weights are unusable.
    """
    sums: dict[str, list[Tensor]] = {}
    for _ in range(config.updates_per_iter):
        stop_point()
        batch = state.replay.draw(
            config.batch_size,
            config.n_steps,
            config.discount,
            state.draws,
            bootstrap_timeout=config.bootstrap_timeout,
            bootstrap_success=config.bootstrap_success,
        )
        obs = state.network.normalizer(batch.obs)
        found = _critic_step(state, batch, obs, config)
        state.updates += 1
        if train_actor and state.updates % config.policy_delay == 0:
            found |= _actor_step(state, obs, config, target_entropy)
        for name, value in found.items():
            sums.setdefault(name, []).append(value)
    return {name: float(torch.stack(values).mean()) for name, values in sums.items()}


@torch.no_grad()
def target_distribution(
    network: SacNetwork, support: Tensor, batch: Drawn, config: SacConfig, rng: torch.Generator
) -> Tensor:
    """What critics should give for a batch: ``[S, Z]``.

    The distribution of ``R + discount (Z(s', a') - alpha log pi(a'|s'))``, with a' sampled by the actor and Z that of
    the target critics: their mean, or for each sample the one with the smaller mean.

    Source: Haarnoja et al. 2018, "Soft Actor-Critic Algorithms and Applications", eq. 3, for distributions.
    """
    next_obs = network.normalizer(batch.next_obs)
    action, log_prob = network.actor.sample(next_obs, rng)
    probs = network.target_critics(next_obs, action).softmax(dim=-1)
    probs = pick_smaller(probs, support) if config.target_values == "min" else probs.mean(dim=0)
    bonus = -network.log_alpha.exp() * log_prob
    returns = batch.reward[:, None] + batch.discount[:, None] * (support + bonus[:, None])
    return project(probs, returns, support)


def _critic_step(state: TrainingState, batch: Drawn, obs: Tensor, config: SacConfig) -> dict[str, Tensor]:
    network, critics = state.network, state.network.critics
    target = target_distribution(network, state.support, batch, config, state.noise)
    loss = critic_loss(critics(obs, batch.action), target)
    state.critic_optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(critics.parameters(), config.max_grad_norm, foreach=True)
    state.critic_optimizer.step()
    with torch.no_grad():
        for kept, value in zip(network.target_critics.parameters(), critics.parameters()):
            kept.lerp_(value, config.tau)
    return {"critic": loss.detach(), "critic_grad_norm": norm}


def _actor_step(
    state: TrainingState, obs: Tensor, config: SacConfig, target_entropy: float
) -> dict[str, Tensor]:
    network = state.network
    network.critics.requires_grad_(False)  # the gradient with respect to actions alone
    action, log_prob = network.actor.sample(obs, state.noise)
    values = expected(network.critics(obs, action), state.support)
    value = values.min(dim=0).values if config.target_values == "min" else values.mean(dim=0)
    loss = actor_loss(log_prob, value, network.log_alpha.exp().detach())
    state.actor_optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(network.actor.parameters(), config.max_grad_norm, foreach=True)
    state.actor_optimizer.step()
    network.critics.requires_grad_(True)
    temperature = alpha_loss(network.log_alpha, log_prob, target_entropy)
    state.alpha_optimizer.zero_grad(set_to_none=True)
    temperature.backward()
    state.alpha_optimizer.step()
    return {
        "actor": loss.detach(),
        "actor_grad_norm": norm,
        "value": value.detach().mean(),
        "entropy": -log_prob.detach().mean(),
        "alpha": network.log_alpha.detach().exp(),
    }
