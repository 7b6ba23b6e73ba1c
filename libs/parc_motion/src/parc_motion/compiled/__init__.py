"""Forward kinematics and rotations as Numba kernels, twins of `parc_motion.kinematics`.

They need Numba: `pip install 'parc-motion[compiled]'`.
"""

from parc_motion.compiled.forward import add_body_velocities, place_bodies
from parc_motion.compiled.jit import FOLDER
from parc_motion.compiled.rotations import (
    apply_matrix,
    cross_product,
    expmap_between,
    write_expmap_quat,
    write_left_jacobian,
    write_matrix,
    write_product,
    write_rotated,
)

__all__ = [
    "FOLDER",
    "add_body_velocities",
    "apply_matrix",
    "cross_product",
    "expmap_between",
    "place_bodies",
    "write_expmap_quat",
    "write_left_jacobian",
    "write_matrix",
    "write_product",
    "write_rotated",
]
