"""Forward kinematics, velocities, mass and surface points, batched in torch."""

from parc_motion.kinematics import rotations
from parc_motion.kinematics.forward import Kinematics, forward_kinematics
from parc_motion.kinematics.mass import body_masses, center_of_mass
from parc_motion.kinematics.surface import SurfacePoints, surface_points
from parc_motion.kinematics.velocity import angular_velocity, joint_angular_velocity, linear_velocity

__all__ = [
    "Kinematics",
    "SurfacePoints",
    "angular_velocity",
    "body_masses",
    "center_of_mass",
    "forward_kinematics",
    "joint_angular_velocity",
    "linear_velocity",
    "rotations",
    "surface_points",
]
