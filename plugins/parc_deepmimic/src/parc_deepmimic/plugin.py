"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins.hookspecs import hookimpl
from parc_core.plugins.provider import Provider

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of this distribution."""
    return [
        Provider(
            kind="tracker_env",
            name="deepmimic",
            target="parc_deepmimic.env:DeepMimicEnv",
            config="parc_deepmimic.config:DeepMimicConfig",
            summary="imitation on terrain",
        ),
        Provider(
            kind="recorder",
            name="retry",
            target="parc_deepmimic.recorder:RetryRecorder",
            config="parc_deepmimic.recorder:RetryConfig",
            summary="keeps what was tracked, retries from later starts",
        ),
    ]
