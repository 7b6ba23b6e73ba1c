"""The providers of this distribution, for discovery."""

from __future__ import annotations

from parc_core.plugins import Provider, hookimpl

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of this distribution."""
    return [
        Provider(
            kind="agent",
            name="ppo",
            target="parc_ppo.ppo:PpoAgent",
            config="parc_ppo.config:PpoConfig",
            summary="proximal policy optimization",
        ),
        Provider(
            kind="agent",
            name="dmppo",
            target="parc_ppo.dmppo:DmPpoAgent",
            config="parc_ppo.config:DmPpoConfig",
            summary="PPO with fail-rate curriculum and tracking metrics",
        ),
        Provider(
            kind="policy_network",
            name="mlp",
            target="parc_ppo.mlp:Mlp",
            config="parc_ppo.net_names:MlpConfig",
            summary="perceptron",
        ),
        Provider(
            kind="policy_network",
            name="cnn_mlp",
            target="parc_ppo.terrain_nets:CnnMlp",
            config="parc_ppo.net_names:CnnMlpConfig",
            summary="perceptron with a convolutional encoder of the terrain",
        ),
        Provider(
            kind="policy_network",
            name="vit",
            target="parc_ppo.terrain_nets:VitMlp",
            config="parc_ppo.net_names:VitConfig",
            summary="perceptron with a transformer encoder of the terrain",
        ),
    ]
