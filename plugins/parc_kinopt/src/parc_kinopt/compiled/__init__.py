"""The loss, its gradient and its curvature as Numba kernels: one clip at a time, float64, no Python in the loops.

They compute what `parc_kinopt.objective` computes in torch; the tests hold the two against each other.
"""
