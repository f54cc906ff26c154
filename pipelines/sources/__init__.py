"""A declared source (generator, or a folder of CSV or Parquet) -> raw_stores, raw_products, raw_calendar, raw_sales.

Raw tables have our column names and types, and the source's own keys. Rows that cannot be typed are kept in
`<table>_rejects` with file, row, code, field and the whole record.
"""
