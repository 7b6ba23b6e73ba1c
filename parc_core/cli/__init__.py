"""The command `parc`."""
