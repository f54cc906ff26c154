"""Questions about models, their runs, jobs, season plans and what waits for a decision."""

from serving.agents.ahead import pattern_of
from serving.agents.ask import Ask, Call, Tell
from serving.agents.sales import FEW, SOME


def standings(ask: Ask) -> Call:
    """Which model type is best."""
    return Call("list_standings", {"segment": pattern_of(ask) or "all", "page_size": FEW})


def types(_: Ask) -> Call:
    """Which model types there are."""
    return Call("list_model_types", {"page_size": 2 * SOME})


def runs(ask: Ask) -> Call | None:
    """Model runs, one, or two side by side."""
    if len(ask.ids) > 1:
        return Call("compare_model_runs", {"run_id_a": ask.ids[0], "run_id_b": ask.ids[1]})
    if ask.ids:
        return Call("get_model_run", {"run_id": ask.ids[0]})
    if any(name in ask.lower.split() for name in (*ask.world.aliases, *(f"{name}?" for name in ask.world.aliases))):
        return Call("list_aliases", {"page_size": 2 * SOME})
    if not ask.says(r"\bruns\b|\bmodel run|\bregistry\b|\b(?:last|latest|newest) run"):
        return None
    status = ask.says(r"\b(archived|failed|success)\b")
    wanted = {"model_type": ask.model_type, "status": status.group(1).lower() if status else None}
    return Call("list_model_runs", {**{name: each for name, each in wanted.items() if each}, "page_size": FEW})


def jobs(ask: Ask) -> Call | None:
    """Jobs, or the one that was named or started last."""
    if ask.ids and ask.says(r"\bjob\b|^\W*status\b"):
        return Call("get_job", {"job_id": ask.ids[0]})
    if ask.before.job_id and not ask.ids and ask.says(r"\bit\b|\bthat\b|\b(?:the|my) (?:last )?job\b|^\W*status\b"):
        return Call("get_job", {"job_id": ask.before.job_id})
    if not ask.says(r"\bjobs?\b"):
        return None
    status = ask.says(r"\b(pending|running|completed|failed|cancelled)\b")
    return Call("list_jobs", {**({"status": status.group(1).lower()} if status else {}), "page_size": FEW})


def plans(ask: Ask) -> Call:
    """Season plans; the parameters of one that is to be made."""
    if ask.ids:
        return Call("get_workflow", {"workflow_id": ask.ids[0]})
    if ask.says(r"^\W*(?:please |let'?s |can you |could you )?(?:plan|start|make)\b") and not ask.says(r"\bplans\b"):
        return Call("extract_parameters", {"text": ask.text})
    return Call("list_workflows", {"page_size": FEW})


def approvals(ask: Ask) -> Call | Tell:
    """What waits for a person. To decide is none of an agent's tools."""
    if ask.ids or ask.says(r"^\W*(?:i )?(?:approve|reject)\b"):
        path = f"/api/v1/approvals/{ask.ids[0] if ask.ids else '{approval_id}'}/decision"
        return Tell(f"A person decides, not an agent that is told to: POST {path} with the decision approve or reject.")
    return Call("list_approvals", {"state": "open", "page_size": FEW})


def by_id(ask: Ask) -> Call:
    """An id, and no word of what it is: a job."""
    return Call("get_job", {"job_id": ask.ids[0]})
