"""Processes, disks and devices: signals, progress, atomic writes, device mapping."""
