"""Which job types end where: each of the contract is sent over HTTP to a running system, and has to end completed."""

from typing import Any

import msgspec

from assets_config.contract.jobs import JOB_TYPES
from tests.end_to_end.running import Running

OF_A_SEASON = ("seed", "season_plan", "decide_approval", "reforecast", "allocate", "markdown", "variance_check")
"""Those of test_season.py. All others, new ones too, are those of the folder up/."""

OF_UP = tuple(sorted(set(JOB_TYPES) - set(OF_A_SEASON)))


def check_that_it_ended(system: Running, job_type: str) -> None:
    """That a job of the type, sent over HTTP, ended completed in this system, with the assets and the result that the type says."""
    ended = system.read("/jobs", job_type=job_type, status="completed", origin="api")["items"]
    assert ended, f"no end-to-end test takes a job of type {job_type} to its end: send one, and see what a GET makes of it"

    job = system.read(f"/jobs/{ended[0]['job_id']}")
    body = {"job_type": job_type, "params": job["params"], "dry_run": True}
    plan = system.client.post("/jobs", json=body).json()
    assert sorted(job["result"]["assets"]) == sorted(each["key"] for each in plan["assets"])
    schema: dict[str, Any] = msgspec.json.schema(JOB_TYPES[job_type].result)
    told = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    answered = job["result"].keys() - {"assets"}
    assert set(told.get("required", [])) <= answered <= set(told["properties"]), f"{answered} is not what /jobs/types says"
