"""core/sales_daily -> kpi_daily (the additive measures at store x product x day) and the prefix-sum cubes over it."""
