"""Raw tables -> dim_store, dim_product, sales_daily (unique at store x product x day), dim_calendar, and their rejects."""
