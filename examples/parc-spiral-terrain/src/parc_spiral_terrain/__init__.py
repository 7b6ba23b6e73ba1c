"""A spiral stairway as a terrain source of PARC."""
