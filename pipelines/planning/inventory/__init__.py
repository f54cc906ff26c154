"""forecasts/forecast, stock and supply -> planning/inventory_policy, stock_risk, replenishment_proposal."""
