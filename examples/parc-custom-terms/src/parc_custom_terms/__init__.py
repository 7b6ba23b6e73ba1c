"""Terms and a network for PARC."""
