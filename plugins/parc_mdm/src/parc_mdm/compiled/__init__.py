"""What the transformer does on a CPU between its large matrix products, as Numba kernels: attention, the sums and
normalisations around it, dropout. And what is done for each training window: reading its frames and the ground under
them, choosing where it goes.

They compute what `transformer`, `windows`, `ground` and `targets` of `parc_mdm` compute in torch on other devices; the
tests hold the two against each other.
"""
