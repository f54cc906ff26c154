"""Makes data: sources -> core -> features -> models -> backtests -> forecasts -> kpis -> publish."""
