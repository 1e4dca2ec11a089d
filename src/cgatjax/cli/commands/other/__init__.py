"""Commands for other programs, and the demonstration."""
