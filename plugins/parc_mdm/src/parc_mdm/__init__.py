"""The terrain-aware motion diffusion model of PARC."""
