"""Run folders: what a training leaves on disk."""
