"""The DeepMimic tracking environment and the recorder of PARC."""
