"""Forecasts as they were said, and what was sold -> frozen sets, realised accuracy, value added, interval coverage."""
