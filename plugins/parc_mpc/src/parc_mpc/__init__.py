"""Sampling-based predictive tracking for PARC: plans, trains nothing."""
