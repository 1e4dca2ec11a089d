"""Commands that train, transfer and calibrate."""
