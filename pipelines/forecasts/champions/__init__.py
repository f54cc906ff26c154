"""Fits and backtests -> the champion of each series, and its forecasts with quantiles, of series and of their sums."""
