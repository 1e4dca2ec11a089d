"""Commands that read, build and compare data."""
