"""Take the pictures of the Dagster UI that the docs show, in a real browser: `make screenshots`, while `demandgraph up` runs.

Needs chromium. Asks the webserver for its newest run, opens each page, waits for the text that shows that it is there, and
writes a PNG beside this file.
"""

import argparse
import base64
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from websockets.sync.client import ClientConnection, connect

PATIENCE = 60.0
NEWEST = "{ runsOrError(limit: 50, filter: {statuses: [SUCCESS]}) { ... on Runs { results { runId stepKeysToExecute } } } }"
CLICK = "[...document.querySelectorAll('*')].filter(e => !e.children.length && e.textContent.trim() === {text})[{nth}].click()"


class Picture(NamedTuple):
    """A page, the text that is on it when it is whole, what is clicked then, and the text after that."""

    name: str
    path: str
    shows: str
    size: tuple[int, int]
    click: tuple[str, int] | None = None  # a text, and which of those that are equal
    then: str = ""


def pictures(run_id: str) -> list[Picture]:
    return [
        Picture("graph", "/asset-groups", "publish", (1600, 900)),
        Picture("asset", "/assets/forecasts/forecast_level", "days ahead", (1400, 900), ("[Show Markdown]", 0), "Close"),
        Picture("automation", "/automation", "weekly_backtest", (1400, 800)),
        Picture("run", f"/runs/{run_id}", "publish__snapshot", (1400, 800)),
    ]


class Browser:
    """One page of a headless chromium, over its DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._asked = 0

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._asked += 1
        self._socket.send(json.dumps({"id": self._asked, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("id") == self._asked:
                found: dict[str, Any] = answer.get("result", {})
                return found

    def run(self, script: str) -> Any:
        return self.ask("Runtime.evaluate", expression=script, returnByValue=True).get("result", {}).get("value")

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.run(f"document.body !== null && document.body.innerText.includes({json.dumps(text)})"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the page never showed '{text}'")
            time.sleep(0.2)

    def take(self, picture: Picture, url: str, folder: Path) -> Path:
        width, height = picture.size
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Page.navigate", url=url + picture.path)
        self.wait_for(picture.shows)
        if picture.click is not None:
            self.run(CLICK.format(text=json.dumps(picture.click[0]), nth=picture.click[1]))
            self.wait_for(picture.then)
        time.sleep(4)  # edges are drawn, and what slides in has slid
        path = folder / f"{picture.name}.png"
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))
        return path


@contextmanager
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("error: chromium is not installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"]
        command = [program, *options, f"--user-data-dir={profile}", "about:blank"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                said, deadline = Path(profile) / "DevToolsActivePort", time.monotonic() + PATIENCE
                while not (said.exists() and len(said.read_text().split()) == 2):
                    if time.monotonic() > deadline:
                        raise TimeoutError("chromium did not start")
                    time.sleep(0.1)
                pages = httpx.get(f"http://127.0.0.1:{said.read_text().split()[0]}/json").json()
                address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
                with connect(address, max_size=None) as socket:
                    yield Browser(socket)
            finally:
                process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dagster", default="http://127.0.0.1:3000", help="where the Dagster UI answers")
    parser.add_argument("--to", type=Path, default=Path(__file__).parent, help="folder that the pictures are written to")
    arguments = parser.parse_args()
    runs = httpx.post(f"{arguments.dagster}/graphql", json={"query": NEWEST}, timeout=30).json()["data"]["runsOrError"]["results"]
    largest = max(runs, key=lambda run: len(run["stepKeysToExecute"] or ()))
    with browser() as opened:
        for picture in pictures(largest["runId"]):
            path = opened.take(picture, arguments.dagster, arguments.to)
            print(f"{path} {path.stat().st_size >> 10} KB")


if __name__ == "__main__":
    main()
