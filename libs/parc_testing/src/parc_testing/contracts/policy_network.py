"""What every `policy_network` promises."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from parc_core.interfaces import ObservationGroup

__all__ = ["PolicyNetworkContract"]


class PolicyNetworkContract:
    """Subclass it and give a fixture `make`, which passes its keyword arguments on to the network.

    >>> class TestGatedMlp(PolicyNetworkContract):
    ...     @pytest.fixture
    ...     def make(self):
    ...         return lambda **collaborators: GatedMlp(GatedConfig(units=16), **collaborators)

    Observations have three groups, the second a picture of the terrain of 7 rows and 5 columns.
    """

    groups = (
        ObservationGroup(name="state", size=6),
        ObservationGroup(name="terrain", size=35, shape=(7, 5)),
        ObservationGroup(name="target", size=4),
    )
    num_inputs = 45
    num_outputs = 3

    @pytest.fixture
    def make(self) -> Callable[..., nn.Module]:
        """A function that returns a new network; give your own."""
        raise NotImplementedError("give a fixture `make` that returns a function making a network")

    def build(self, make: Callable[..., nn.Module], seed: int = 0) -> nn.Module:
        """A network as an agent makes it: the global generator is seeded meanwhile."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return make(
                num_inputs=self.num_inputs,
                num_outputs=self.num_outputs,
                groups=self.groups,
                device="cpu",
                rng=torch.Generator().manual_seed(seed),
            )

    def test_outputs_have_their_shape_and_are_finite(self, make: Callable[..., nn.Module]) -> None:
        network = self.build(make)
        for rows in (1, 5):
            out = network(self._observations(rows))
            assert out.shape == (rows, self.num_outputs)
            assert torch.isfinite(out).all()

    def test_output_layer_is_the_last_one(self, make: Callable[..., nn.Module]) -> None:
        network = self.build(make)
        layer = network.output_layer
        assert isinstance(layer, nn.Linear)
        assert layer.out_features == self.num_outputs
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.copy_(torch.arange(1.0, self.num_outputs + 1))
        expected = torch.arange(1.0, self.num_outputs + 1).expand(4, -1)
        assert torch.equal(network(self._observations(4)), expected)

    def test_same_seed_gives_the_same_network(self, make: Callable[..., nn.Module]) -> None:
        obs = self._observations(4)
        first, second, other = (self.build(make, seed)(obs) for seed in (1, 1, 2))
        assert torch.equal(first, second)
        assert not torch.equal(first, other)

    def test_equal_observations_give_equal_outputs(self, make: Callable[..., nn.Module]) -> None:
        network, obs = self.build(make), self._observations(4)
        assert torch.equal(network(obs), network(obs))

    def test_rows_do_not_influence_each_other(self, make: Callable[..., nn.Module]) -> None:
        network, obs = self.build(make), self._observations(4)
        changed = obs.clone()
        changed[1:] += 3.0
        # products of matrices may round differently in another row's company, not more
        torch.testing.assert_close(network(changed)[0], network(obs)[0], rtol=1e-5, atol=1e-6)

    def test_every_weight_learns(self, make: Callable[..., nn.Module]) -> None:
        network = self.build(make)
        network(self._observations(8)).square().sum().backward()
        unused = [
            name
            for name, weight in network.named_parameters()
            if weight.requires_grad and weight.grad is None
        ]
        assert unused == []

    def test_state_dict_and_copies_hold_everything(self, make: Callable[..., nn.Module]) -> None:
        network, obs = self.build(make, seed=1), self._observations(4)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(0.01)
        restored = self.build(make, seed=2)
        restored.load_state_dict(network.state_dict())
        assert torch.equal(restored(obs), network(obs))
        assert torch.equal(copy.deepcopy(network)(obs), network(obs))

    def _observations(self, rows: int) -> Tensor:
        return torch.randn(rows, self.num_inputs, generator=torch.Generator().manual_seed(7))
