"""Fits and backtests -> the champion of each series, the registry of model runs, and forecasts with quantiles."""
