"""Sampling-based predictive tracking for PARC: a planning agent."""
