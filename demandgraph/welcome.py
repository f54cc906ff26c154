"""What `demandgraph up` says once everything answers."""

from datetime import timedelta
from pathlib import Path

from rich.console import Console

from assets_config.contract.layout import Published
from demandgraph.ports import HOST
from demandgraph.running import Running
from demandgraph.snapshots import served


def welcome(console: Console, data: Path, ports: Running) -> None:
    """The URLs, and three curl lines that answer for the snapshot that is served."""
    api = f"http://{HOST}:{ports.port}"
    lines = [
        "",
        f"[bold green]API[/]         {api}/api/v1",
        f"[bold green]API docs[/]    {api}/docs",
        f"[bold green]Dagster UI[/]  http://{HOST}:{ports.dagster_port}",
        "",
        *curl_lines(data, api),
        "",
        "Ctrl-C stops everything.",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def curl_lines(data: Path, api: str) -> list[str]:
    """A KPI over the last year of the snapshot that is served, a ranking, and a job."""
    manifest = served(Published(data))
    if manifest is None:
        return []
    first = max(manifest.first_day, manifest.as_of - timedelta(days=364))
    days = f"start_date={first}&end_date={manifest.as_of}"
    return [
        f"curl '{api}/api/v1/analytics/kpis?{days}'",
        f"curl '{api}/api/v1/analytics/drilldowns?dimension=category&{days}'",
        f"curl -X POST '{api}/api/v1/jobs' -H 'Content-Type: application/json' -d '{{\"job_type\": \"refresh\"}}'",
    ]
