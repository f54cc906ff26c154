"""Forecasts and assumptions -> what would be sold instead."""
