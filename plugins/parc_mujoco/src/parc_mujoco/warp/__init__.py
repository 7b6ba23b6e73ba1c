"""MuJoCo Warp: the same physics on an NVIDIA GPU."""
