"""core/sales_daily and dim_calendar -> the dense series x day panel, and blocks of leakage-safe features of it."""
