"""What this package offers: four names for the iteration file."""

from __future__ import annotations

from parc_core.plugins import Provider, hookimpl

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """A provider without `config` takes its settings from the signature of its target."""
    return [
        Provider(
            kind="reward_term",
            name="smooth_actions",
            target="parc_custom_terms.tracking:smooth_actions",
            summary="1 while the action stays as it was, falling as it changes",
        ),
        Provider(
            kind="observation_term",
            name="previous_action",
            target="parc_custom_terms.tracking:PreviousAction",
            summary="the action of the step before",
        ),
        Provider(
            kind="generator_loss",
            name="standing_feet",
            target="parc_custom_terms.losses:standing_feet",
            summary="hands and feet that are labeled as standing should not slide",
        ),
        Provider(
            kind="policy_network",
            name="residual_mlp",
            target="parc_custom_terms.networks:ResidualMlp",
            summary="perceptron with skip connections",
        ),
    ]
