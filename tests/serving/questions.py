"""What a new user would ask, with the pages that answer it; written before any search was looked at."""

QUESTIONS: list[tuple[str, tuple[str, ...]]] = [
    ("How do I install it with a GPU build of xgboost?", ("docs/install.md",)),
    ("How do I load my own CSV files?", ("docs/sources.md", "README.md")),
    ("What happens to rows that are wrong?", ("docs/sources.md", "docs/ingest.md")),
    ("How can I post sales over HTTP?", ("docs/ingest.md",)),
    ("How do I create an API key?", ("docs/security.md", "README.md")),
    ("Which role may delete generated data?", ("docs/security.md",)),
    ("Which models are there, and which should I take for intermittent demand?", ("docs/models.md",)),
    ("Why is a product forecast to sell that much?", ("docs/explanations.md",)),
    ("How good were the forecasts?", ("docs/accuracy.md",)),
    ("What is forecast value added?", ("docs/accuracy.md",)),
    ("How do I go back to an earlier snapshot?", ("docs/operations.md", "README.md")),
    ("How do I back up the data?", ("docs/operations.md",)),
    ("How do I change the port of the API?", ("docs/settings.md",)),
    ("How can I give a model run the name production?", ("docs/registry.md",)),
    ("What does a 409 conflict mean?", ("docs/problems.md",)),
    ("How is the average basket value computed?", ("docs/kpis.md", "kpis.md")),
    ("Can I compare revenue with last year?", ("docs/kpis.md",)),
    ("How do I get KPIs as a CSV or Parquet file?", ("docs/kpis.md", "docs/api.md")),
    ("Why is a job a Dagster run?", ("docs/adr/0003-job-is-a-dagster-run.md",)),
    ("How do I add a new model type?", ("CONTRIBUTING.md",)),
]
