"""What `demandgraph up` says once everything answers."""

from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from assets_config.contract.layout import Published
from demandgraph.home import command
from demandgraph.ports import HOST, api_host
from demandgraph.running import Running
from demandgraph.snapshots import served


def welcome(console: Console, data: Path, ports: Running, *, key: str | None) -> None:
    """The URLs, and three curl lines that answer for the snapshot that is served; a key that was just made is in the last."""
    api = f"http://{api_host()}:{ports.port}"
    lines = [
        "",
        f"[bold green]API[/]         {api}/api/v1",
        f"[bold green]API docs[/]    {api}/docs",
        f"[bold green]Dagster UI[/]  http://{HOST}:{ports.dagster_port}",
        "",
        *key_lines(data, key),
        "",
        *curl_lines(data, api, key),
        "",
        "Ctrl-C stops everything.",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def key_lines(data: Path, key: str | None) -> list[str]:
    """A key that was just made, or how one is made."""
    if key is None:
        return [f"Writes need a key: KEY=$({escape(command(data, 'keys new --role admin'))}) makes one."]
    another = escape(command(data, "keys new --role operator"))
    return [f"[bold green]Admin key[/]   {key}", f"It is shown once. `{another}` makes another."]


def curl_lines(data: Path, api: str, key: str | None) -> list[str]:
    """A KPI over the last year of the snapshot that is served, a ranking, and a job."""
    manifest = served(Published(data))
    if manifest is None:
        return []
    first = max(manifest.first_day, manifest.as_of - timedelta(days=364))
    days = f"start_date={first}&end_date={manifest.as_of}"
    sent = f"-H 'X-API-Key: {key}'" if key else '-H "X-API-Key: $KEY"'
    return [
        f"curl '{api}/api/v1/analytics/kpis?{days}'",
        f"curl '{api}/api/v1/analytics/drilldowns?dimension=category&{days}'",
        f"curl -X POST '{api}/api/v1/jobs' {sent} -H 'Content-Type: application/json' -d '{{\"job_type\": \"refresh\"}}'",
    ]
