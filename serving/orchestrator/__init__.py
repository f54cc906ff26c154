"""Jobs and assets as Dagster tells them, over GraphQL."""
