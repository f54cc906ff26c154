"""Synthetic data with known truth: a Seed -> rows of the kinds, and what was planted in them."""
