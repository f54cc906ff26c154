"""Questions that start a job: a backtest, a fit or a forecast beside the graph."""

from typing import Any

from serving.agents.ask import Ask, Call, Tell


def backtest(ask: Ask) -> Call | Tell | None:
    """Evaluate a model type, or show what was evaluated."""
    wants_to_see = ask.says(r"\b(?:show|list|which|what|results?|latest|last|how good|see|find|get)\b") or ask.says(
        r"\bback-?tests\b"
    )
    named = ask.says(r"\b[0-9a-f]{16,64}\b")
    if named and ask.says(r"back-?test"):
        return Call("get_backtest", {"backtest_id": named.group().lower()})
    if wants_to_see and ask.says(r"back-?test"):
        of_type = {"model_type": ask.model_type} if ask.model_type else {}
        return Call("list_backtests", {**of_type, "page_size": 5})
    if ask.model_type is None:
        return _which(ask, "backtest") if ask.says(r"back-?test") else None
    wanted = {
        "n_splits": ask.number(r"\b(\d{1,3}) (?:folds?|splits?|origins?)\b", least=2, most=20),
        "test_size": ask.number(r"\b(?:horizon|test size)(?: of)? (\d{1,3})\b", most=90),
        "gap": ask.number(r"\bgap(?: of)? (\d{1,2})\b", least=0, most=30),
    }
    return Call("backtest", {**_series(ask), **{name: each for name, each in wanted.items() if each is not None}})


def train(ask: Ask) -> Call | Tell | None:
    """Fit a model type."""
    if ask.model_type is None:
        return _which(ask, "train")
    horizon = ask.number(r"\bhorizon(?: of)? (\d{1,3})\b", most=90)
    return Call("train", {**_series(ask), **({"horizon": horizon} if horizon else {})})


def predict(ask: Ask) -> Call | None:
    """Forecast with one model run, by its id or its alias."""
    named = ask.says(r"\b(?:with|by|using|from) (?:the )?(?:model )?(?:run |alias )?[\"'`]?([a-z0-9][a-z0-9_-]{0,99})")
    run = ask.ids[0] if ask.ids else named.group(1).lower() if named and named.group(1).lower() in ask.world.aliases else None
    if run is None:
        return None
    horizon = ask.number(r"\b(\d{1,3})[- ]days?\b", most=90)
    one = {name: each for name, each in _series(ask).items() if name in ("store_id", "product_id")}
    return Call("predict", {"run_id": run, **({"horizon": horizon} if horizon else {}), **one})


def _series(ask: Ask) -> dict[str, Any]:
    days = ask.days()
    one = {"store_id": ask.one("store"), "product_id": ask.one("product")}
    if days is not None and days.end <= ask.world.last:
        one |= {"start_date": str(days.start), "end_date": str(days.end)}
    return {"model_type": ask.model_type, **{name: each for name, each in one.items() if each is not None}}


def _which(ask: Ask, verb: str) -> Tell:
    known = ", ".join(ask.world.model_types) or "none yet: fit some first"
    return Tell(f"Which model type am I to {verb}? There are {known}.")
