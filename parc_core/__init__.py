"""PARC: grow a motion data set for physically simulated characters on terrain.

The core holds what plugins and users agree on. Importing it loads neither torch nor mujoco.
"""

__all__ = ["PARC_API", "__version__"]

__version__ = "0.1.0"
PARC_API = (1, 0)
