"""One update: several passes of gradient descent over a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parc_ppo import distribution
from parc_ppo.config import PpoConfig
from parc_ppo.losses import approx_kl, clipped_surrogate, critic_loss
from parc_ppo.networks import PolicyNetwork
from parc_ppo.rollout import Batch

__all__ = ["update"]


def update(
    network: PolicyNetwork,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: PpoConfig,
    rng: torch.Generator,
) -> dict[str, float]:
    """Learn from a batch; mean losses by name. A number that is not finite means that the weights are spoilt.

    Each epoch visits all samples once, shuffled with `rng`.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    sums: dict[str, Tensor] = {}
    count, epochs = 0, 0
    for _ in range(config.update_epochs):
        order = torch.randperm(len(batch.obs), generator=rng, device=batch.obs.device)
        epoch_kl = batch.obs.new_zeros(())
        pieces = order.split(config.batch_size)
        for rows in pieces:
            loss, parts = _losses(network, batch, rows, config)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if config.clip_grad_norm:
                parts["grad_norm"] = nn.utils.clip_grad_norm_(parameters, config.max_grad_norm, foreach=True)
            optimizer.step()
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value.detach()
            epoch_kl += parts["kl"].detach()
            count += 1
        epochs += 1
        if config.target_kl is not None and float(epoch_kl) / len(pieces) > config.target_kl:
            break
    means = {name: float(value) / count for name, value in sums.items()}
    return {**means, "epochs": float(epochs)}


def _losses(
    network: PolicyNetwork, batch: Batch, rows: Tensor, config: PpoConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    obs = batch.obs[rows]
    value_loss = critic_loss(network.value(obs), batch.target[rows], config.critic_loss_type)
    mean, log_std = network.decide(obs)
    log_ratio = distribution.log_prob(mean, log_std, batch.action[rows]) - batch.log_prob[rows]
    advantage = batch.advantage[rows]
    if batch.drawn is not None:
        drawn = batch.drawn[rows]
        log_ratio, advantage = log_ratio[drawn], advantage[drawn]
    if len(advantage):
        surrogate = clipped_surrogate(log_ratio, advantage, config.ppo_clip_ratio)
    else:
        surrogate = mean.sum() * 0.0  # no action of this piece was drawn: nothing to learn about them
    actor = surrogate
    parts = {"actor": surrogate, "critic": value_loss}
    if config.action_bound_weight:
        parts["bound"] = distribution.bound_excess(mean).mean()
        actor = actor + config.action_bound_weight * parts["bound"]
    if config.action_entropy_weight:
        parts["entropy"] = distribution.entropy(log_std).mean()
        actor = actor - config.action_entropy_weight * parts["entropy"]
    if config.action_reg_weight:
        parts["reg"] = mean.square().sum(dim=-1).mean()
        actor = actor + config.action_reg_weight * parts["reg"]
    if config.critic_loss_gate is not None:
        # a critic that is far off gives advantages that mislead. Source: published PARC implementation
        actor = actor * (value_loss.detach() <= config.critic_loss_gate)
    with torch.no_grad():
        count = max(len(advantage), 1)
        parts["kl"] = approx_kl(log_ratio) if len(advantage) else surrogate.detach()
        moved = (log_ratio.exp() - 1.0).abs() > config.ppo_clip_ratio
        parts["clip_fraction"] = moved.sum() / count
    return actor + config.critic_loss_weight * value_loss, parts
