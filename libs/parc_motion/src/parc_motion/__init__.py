"""What moves and on what: clips, terrains, skeletons, their files, kinematics, geometry and metrics of PARC."""

__version__ = "0.1.0"
