"""Dumps of simulations that diverged: read, replayed, explained."""

from parc_mujoco.debug.dump import Dump, load_dump
from parc_mujoco.debug.replay import Replayed, replay

__all__ = ["Dump", "Replayed", "load_dump", "replay"]
