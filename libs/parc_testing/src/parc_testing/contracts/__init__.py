"""One contract suite per kind: subclass it in a test module and give it a `make` fixture."""
