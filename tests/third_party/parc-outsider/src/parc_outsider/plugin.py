"""What this package offers."""

from parc_core.plugins import Provider, hookimpl

PARC_API = (1, 0)


@hookimpl
def parc_providers():
    """An agent, a recorder and an executor."""
    return [
        Provider(
            kind="agent",
            name="ridge",
            target="parc_outsider.agent:RidgeAgent",
            config="parc_outsider.agent:RidgeConfig",
            summary="linear policy fitted to the reference's next pose by ridge regression",
        ),
        Provider(
            kind="recorder",
            name="first_try",
            target="parc_outsider.recorder:FirstTryRecorder",
            config="parc_outsider.recorder:FirstTryConfig",
            summary="one try per motion, from its first frame",
        ),
        Provider(
            kind="executor",
            name="threads",
            target="parc_outsider.executor:ThreadsExecutor",
            config="parc_outsider.executor:ThreadsConfig",
            summary="jobs side by side in threads of this process",
        ),
    ]
