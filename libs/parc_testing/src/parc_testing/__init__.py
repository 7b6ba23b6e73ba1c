"""For plugin authors: builders of small test data, and one contract suite per kind."""
