"""Plugin discovery: providers by kind and name, loaded only when chosen."""
