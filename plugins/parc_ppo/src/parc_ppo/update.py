"""One update: several passes of gradient descent over a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parc_ppo import distribution
from parc_ppo.config import PpoConfig
from parc_ppo.losses import MAX_LOG_RATIO, approx_kl, clipped_surrogate, critic_loss
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
    names: tuple[str, ...] = ()
    rows: list[Tensor] = []  # of all gradient steps, read when all is done
    epochs = 0
    for _ in range(config.update_epochs):
        order = torch.randperm(len(batch.obs), generator=rng, device=batch.obs.device)
        begin = len(rows)
        for piece in batch.pieces(order, config.batch_size):
            loss, parts = _losses(network, piece, config)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if config.clip_grad_norm:
                parts["grad_norm"] = nn.utils.clip_grad_norm_(parameters, config.max_grad_norm, foreach=True)
            optimizer.step()
            network.hold_std()
            names = tuple(parts)
            rows.append(torch.stack(list(parts.values())).detach())
        epochs += 1
        if config.target_kl is not None:
            kl = torch.stack(rows[begin:])[:, names.index("kl")].mean()
            if float(kl) > config.target_kl:
                break
    means = torch.stack(rows).mean(dim=0).tolist()
    return {**dict(zip(names, means, strict=True)), "epochs": float(epochs)}


def _losses(network: PolicyNetwork, piece: Batch, config: PpoConfig) -> tuple[Tensor, dict[str, Tensor]]:
    value_loss = critic_loss(network.value(piece.obs), piece.target, config.critic_loss_type)
    mean, log_std = network.decide(piece.obs)
    log_ratio = distribution.log_prob(mean, log_std, piece.action) - piece.log_prob
    advantage = piece.advantage
    if piece.drawn is not None:
        log_ratio, advantage = log_ratio[piece.drawn], advantage[piece.drawn]
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
        parts |= _moved(log_ratio, config.ppo_clip_ratio)
    return actor + config.critic_loss_weight * value_loss, parts


def _moved(log_ratio: Tensor, clip: float) -> dict[str, Tensor]:
    """How far the policy is from that which drew the actions; where none was drawn, it has not moved."""
    if not len(log_ratio):
        return {"kl": log_ratio.sum(), "clip_fraction": log_ratio.sum(), "imp_ratio": log_ratio.sum() + 1.0}
    ratio = log_ratio.clamp_max(MAX_LOG_RATIO).exp()
    return {
        "kl": approx_kl(log_ratio),
        "clip_fraction": ((ratio - 1.0).abs() > clip).float().mean(),
        "imp_ratio": ratio.mean(),
    }
