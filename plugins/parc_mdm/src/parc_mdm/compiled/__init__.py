"""Numba kernels for what is done to every training window: reading its frames and its ground, choosing its target.

They compute the same as `windows`, `ground` and `targets` of `parc_mdm` do in torch on other devices; the tests compare
the two.
"""
