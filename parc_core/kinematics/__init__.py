"""Rotations, forward kinematics, MJCF characters, mirroring and surface points, batched in torch."""
