"""What the transformer does on a CPU between its large matrix products, as Numba kernels: attention, the sums and
normalisations around it, dropout.

They compute what `parc_mdm.transformer` computes in torch on other devices; the tests hold the two against each other.
"""
