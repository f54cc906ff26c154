# The graph: every asset, the Dagster UI and its daemon. Models and forecasts are made here, and served elsewhere.
#     docker build -f containers/pipelines.Dockerfile -t demandgraph-pipelines .
#     docker run -v /srv/demandgraph:/data demandgraph-pipelines materialize --preset demo_minimal
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md constraints.txt ./
COPY CHANGELOG.md CONTRIBUTING.md ./
COPY docs ./docs
COPY tests/serving/openapi.json ./tests/serving/openapi.json
COPY assets_config ./assets_config
COPY demandgraph ./demandgraph
COPY pipelines ./pipelines
RUN python -m venv /app && /app/bin/pip install --no-cache-dir -c constraints.txt '.[pipelines]'

FROM python:3.12-slim
# The library of threads that xgboost loads.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY --from=build /app /app
RUN useradd --uid 10001 --create-home demandgraph
USER demandgraph
ENV DEMANDGRAPH_DATA=/data PYTHONUNBUFFERED=1
STOPSIGNAL SIGTERM
ENTRYPOINT ["/app/bin/demandgraph"]
CMD ["materialize"]
