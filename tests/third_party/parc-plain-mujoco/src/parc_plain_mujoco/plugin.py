"""What this package offers."""

from parc_core.plugins import Provider, hookimpl

PARC_API = (1, 0)


@hookimpl
def parc_providers():
    """A simulator."""
    return [
        Provider(
            kind="simulator",
            name="plain_mujoco",
            target="parc_plain_mujoco.simulator:PlainMujoco",
            config="parc_plain_mujoco.simulator:PlainMujocoConfig",
            summary="MuJoCo, one environment after the other",
        )
    ]
