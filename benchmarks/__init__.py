"""Benchmarks: programs that measure, each with its own help."""
