"""Motions synthesized from footsteps, so that a run needs no recorded data."""
