"""Commands that predict, evaluate and explain."""
