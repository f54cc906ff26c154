"""Parameters, sales and decisions -> a season plan: its forecast, buy, allocation, replenishment, markdown and result."""
