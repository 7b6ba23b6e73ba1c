"""What a plugin implements: one abstract class per kind, and the context that a stage hands to long work."""
