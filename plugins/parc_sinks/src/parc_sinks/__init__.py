"""Metric sinks for TensorBoard and Weights & Biases."""
