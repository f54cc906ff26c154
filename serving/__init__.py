"""Reads the published snapshot, nothing else."""
