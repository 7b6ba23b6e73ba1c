"""The verbs under `parc data`."""
