"""Numbers into figures."""
