"""Makes data: sources -> core -> features -> models -> backtests -> forecasts -> planning -> kpis -> knowledge -> publish."""
