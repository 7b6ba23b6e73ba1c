"""Parts that agents which learn by reinforcement share."""
