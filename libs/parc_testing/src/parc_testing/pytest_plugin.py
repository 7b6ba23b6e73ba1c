"""pytest plugin for authors of PARC plugins; loaded by pytest's own entry point, so it imports nothing heavy."""
