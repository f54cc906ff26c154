# The API alone: no ML package, no Dagster, and not the code of the pipelines.
#     docker build -f containers/serving.Dockerfile -t demandgraph-serving .
#     docker run -v /srv/demandgraph:/data -p 8123:8123 demandgraph-serving
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md constraints.txt ./
COPY assets_config ./assets_config
COPY demandgraph ./demandgraph
COPY serving ./serving
RUN python -m venv /app && /app/bin/pip install --no-cache-dir -c constraints.txt '.[serving]'

FROM python:3.12-slim
COPY --from=build /app /app
RUN useradd --uid 10001 --create-home demandgraph
USER demandgraph
ENV DEMANDGRAPH_DATA=/data DEMANDGRAPH_HOST=0.0.0.0 PYTHONUNBUFFERED=1
EXPOSE 8123
HEALTHCHECK --interval=10s --timeout=3s CMD ["/app/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8123/livez')"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/app/bin/demandgraph"]
CMD ["serve"]
