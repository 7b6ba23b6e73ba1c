"""How well a tracker follows a set of motions: the verbs `parc eval tracker` and `parc eval cross`."""
