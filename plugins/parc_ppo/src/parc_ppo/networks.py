"""Creates the networks that settings name, by short name or by class, and checks that they keep their interface."""

from __future__ import annotations

import torch
from torch import nn

from parc_core.config import Use
from parc_core.errors import BrokenPlugin
from parc_core.interfaces import ObservationGroup
from parc_ppo.config import ModelConfig
from parc_ppo.net_names import named_network

__all__ = ["make_net", "output_layer"]


def make_net(
    chosen: str | Use,
    model: ModelConfig,
    *,
    num_outputs: int,
    groups: tuple[ObservationGroup, ...],
    device: str,
    rng: torch.Generator,
    salt: int,
) -> nn.Module:
    """The network of a setting such as ``actor_net``, on the CPU: ``[N, O] -> [N, num_outputs]``.

    Args:
        model: activation and size of the terrain's embedding, for networks given by a short name.
        device: where it is going to run.
        rng: for initial weights.
        salt: tells actor and critic apart where initial weights come from the global generator.

    Raises:
        ConfigError: no such network, or it needs a picture of the terrain and the groups have none.
        BrokenPlugin: what the class makes does not keep the interface.
    """
    use = chosen if isinstance(chosen, Use) else named_network(chosen, model.activation, model.terrain_units)
    num_inputs = sum(group.size for group in groups)
    # networks that are written the usual way initialize their layers with the global generator: it is seeded here from
    # `rng`, without taking a number of it, and has its old state afterwards
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed((rng.initial_seed() + salt) % 2**63)
        network = use.create(
            num_inputs=num_inputs, num_outputs=num_outputs, groups=groups, device=device, rng=rng
        )
        _check(network, use.name, num_inputs, num_outputs)
    return network


def output_layer(network: nn.Module) -> nn.Linear:
    """The last layer of a network that `make_net` made."""
    layer = network.output_layer
    assert isinstance(layer, nn.Linear)  # `make_net` has checked it
    return layer


@torch.no_grad()
def _check(network: object, name: str, num_inputs: int, num_outputs: int) -> None:
    """Refuse what does not keep the interface, before the training begins."""
    title = f"policy_network '{name}'"
    if not isinstance(network, nn.Module):
        raise BrokenPlugin(
            f"{title} is a {type(network).__name__}, expected a torch.nn.Module. Name a class derived from it, whose "
            "__init__ takes `config` first."
        )
    last = getattr(network, "output_layer", None)  # absent, or of any type: that is what is checked
    if not isinstance(last, nn.Linear) or last.out_features != num_outputs or last.bias is None:
        found = f"is {last!r:.80}"
        raise BrokenPlugin(
            f"{title}: output_layer {found}, expected the last layer of the network, an nn.Linear with {num_outputs} "
            "outputs and a bias. See parc_core.interfaces.PolicyNetwork."
        )
    out = network(torch.zeros(2, num_inputs))
    if not isinstance(out, torch.Tensor) or out.shape != (2, num_outputs):
        found = f"{list(out.shape)}" if isinstance(out, torch.Tensor) else type(out).__name__
        raise BrokenPlugin(
            f"{title}: forward gave {found} for observations [2, {num_inputs}], expected a tensor [2, {num_outputs}]."
        )
