"""Models: network, weights, normalizers; losses, metrics, model files."""
