"""The ground in torch: height queries, height patches, signed distance, box cover."""
