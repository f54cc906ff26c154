"""Which tool a question is for, and with which arguments: an ordered table of rules. The first one that gives something holds.

Nothing is guessed: what is missing is asked for, a name that nothing has is looked up rather than left out, what a tool cannot be
asked for is told, and what fits no rule is answered with what may be asked.
"""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct, structs

from serving.agents.ahead import PATTERNS, accuracy, forecast, why
from serving.agents.ask import HEX, Ask, Call, Tell
from serving.agents.follow import OF_SALES, again, lost, named
from serving.agents.models import approvals, by_id, jobs, plans, runs, standings, types
from serving.agents.names import WORDS
from serving.agents.sales import COMPARES, FEW, GRANULARITY, RANKED, SALES, kpis, ranking, series
from serving.agents.shelves import STATES, alerts, dated, listed, orders, risks, segments, stock
from serving.agents.tools import GUARDED, JOBS, TOOLS
from serving.agents.trials import backtest, predict, train
from serving.agents.writes import archive, call_off, name_run, what_if

Found = Call | Tell | list[Call] | None
Route = Callable[[Ask], Found]
PLEASE = r"^\W*(?:please |let'?s |can you |could you )?"
ORDER = (
    PLEASE + r"(?:back-?test|evaluate|(?:re)?train|fit|predict|(?:run|start) an? back-?test|promote|archive|"
    r"call|give|set|move|point|make|create|add|(?:forecast|alias|name)(?! of\b))\b"
)
"""How a sentence begins that has a job started, or a change asked for."""
NEGATED = r"\b(?:not|never|cannot|dont)\b|n['\u2019]t\b"
ASKS = r"^\W*(?:which|what|when|where|who|why|how|show|list)\b"
KNOW_NO_NAMES = ("answer_question", "list_agent_tools", "extract_parameters", "list_jobs", "get_job", "list_aliases")
"""Tools that are asked for no store, product or day, so that naming some does not matter."""


OF_THE_SHOP = (*OF_SALES, "get_forecast_summary", "list_stock_risks", "list_stock_status", "list_replenishment_proposals", *JOBS)
"""Tools that answer for everything where nothing is named, so that a name which was not understood must be told."""


class Rule(Struct, frozen=True):
    """A pattern, and what a question that has it is for; None: nothing after all."""

    pattern: str
    route: Route


def route(ask: Ask, *, only_documents: bool = False) -> list[Call] | Tell:
    """The calls that answer a question, or what to say instead."""
    for rule in DOCUMENTS if only_documents else RULES:
        found = rule.route(ask) if ask.says(rule.pattern) else None
        if isinstance(found, Tell):
            return found
        if found is not None:
            calls = found if isinstance(found, list) else [found]
            if calls[0].tool in (*JOBS, *GUARDED) and (ask.says(NEGATED) or not ask.says(ORDER)):
                if ask.says(ASKS) and not ask.says(NEGATED):
                    continue  # which runs did we train? That is read
                return Tell(f"Nothing was started or changed. Begin with what is to be done: {TOOLS[calls[0].tool].says}.")
            if calls[0].tool in KNOW_NO_NAMES:
                return calls
            return lost(ask) or _checked(ask, calls)
    return lost(ask) or Tell("I did not understand that, and rather say so than guess.", lists_tools=True)


def _checked(ask: Ask, calls: list[Call]) -> list[Call] | Tell:
    """The calls, with a word on what they leave out; a job is rather not started then."""
    told = [*_left_out(ask, calls)]
    if told and calls[0].tool in JOBS:
        return Tell(f"A {calls[0].tool} takes one store, one product, both or everything: {' '.join(told)}")
    return [structs.replace(calls[0], notes=(*calls[0].notes, *told)), *calls[1:]]


def _left_out(ask: Ask, calls: list[Call]) -> Iterator[str]:
    tool, used = calls[0].tool, {value for each in calls for value in _values(each.arguments)}
    for thing in ask.things:
        if thing.value not in used:
            yield f"{tool} cannot be asked for the {thing.axis} {thing.value}, which is left out."
    names = {name for each in calls for name in each.arguments}
    days = ask.days()
    if days is not None and not names & {"start", "start_date"}:
        yield f"{tool} cannot be asked for '{days.text}', which is left out."
    for text, is_there in ask.days_left_out():
        yield f"'{text}' is left out: {'one question is of one range of days' if is_there else 'there is no such day'}."
    if ask.compare and "compare" not in names:
        yield f"{tool} compares with no other days."
    if tool in OF_THE_SHOP and not ask.things and ask.object is not None:
        yield f"'{ask.object}' is no name of a store, product or group, and is left out."


def _values(arguments: dict[str, Any]) -> Iterator[str]:
    for value in arguments.values():
        yield from map(str, value if isinstance(value, list) else str(value).split(","))


def _help(_: Ask) -> Tell:
    return Tell("I answer from what is published, by calls of this API.", lists_tools=True)


def _document(ask: Ask) -> Call:
    return Call("answer_question", {"query": ask.text, "filters": {"kind": ["markdown", "kpi"]}})


def _manual(ask: Ask) -> Found:
    return None if ask.things or ask.days() else _document(ask)


def _any_document(ask: Ask) -> Found:
    return None if ask.unknown or not ask.says(r"[a-z]{3}") else _document(ask)


def _conversation(_: Ask) -> Tell:
    return Tell("I read no conversations: GET /api/v1/agents/sessions/{session_id} does.")


def _definitions(ask: Ask) -> Found:
    return None if ask.things or ask.days() else Call("list_definitions", {"page_size": 20})


def _always(tool: str, **arguments: Any) -> Route:
    return lambda _: Call(tool, arguments)


RULES = (
    Rule(
        r"^\W*(?:help|hi|hello|hey)\b|\bwhat (?:can|could) (?:you|i)\b|\b(?:your|which|list|all) (?:the )?(?:tools|commands)\b",
        _help,
    ),
    Rule(PLEASE + r"(?:delete|remove|drop|truncate|wipe|erase|purge|insert|update|alter|grant|cancel|select|exec)\b", call_off),
    Rule(r"\bsessions?\b|\bconversations?\b", _conversation),
    Rule(
        r"\bendpoints?\b|\bapi call\b|\bwhich (?:operation|route|request)\b|\bover the api\b",
        lambda ask: Call("list_agent_tools", {"query": ask.text, "page_size": FEW}),
    ),
    Rule(
        r"^\W*(?:how (?:do|does|can|should|would|to|is|are)\b(?! we)|why (?:do|does|is|are)\b|explain (?:how|what|the)\b|define\b|"
        r"what does .*\bmean|what is meant|definition of|tell me (?:about|how)|what (?:is|are) (?:an? |the meaning))|"
        r"^\W*what (?:is|are) (?:the )?(?:wape|smape|mape|fva|adi|cv2)\W*$",
        _manual,
    ),
    Rule(r"\balias(?:es|ed)?\b|\bpromote\b|\b(?:call|name)\b.*\brun\b|\bcalled\b", name_run),
    Rule(r"\barchive\b", archive),
    Rule(r"\bwhat if\b|\bwhat (?:would|happens)\b.*\bif\b|\bsimulate\b", what_if),
    Rule(r"\bapprov|\breject\b|\bwaits? for (?:me|us|a decision)\b|\bpending decisions?\b", approvals),
    Rule(r"\bjobs?\b|^\W*status\b|\bis (?:it|that) (?:done|ready|finished)\b|\bhow is (?:it|that) going\b", jobs),
    Rule(r"\bback-?test(?:s|ing)?\b|\bevaluate\b", backtest),
    Rule(r"\b(?:re)?train\b|^\W*(?:please )?fit\b", train),
    Rule(r"\b(?:predict|forecast)\b.*\b(?:with|by|using|from) \S", predict),
    Rule(r"\bmodel types?\b|\bwhich models (?:are there|exist|can|do we have)\b|\bavailable models\b", types),
    Rule(
        r"\bleader-?\s?board\b|\b(?:best|winning|worst|strongest) model\b|\bwhich models?\b|\bchampions?\b|"
        r"\brank\w* (?:of )?(?:the )?models\b|\bmodels? (?:is|are) (?:the )?best\b",
        standings,
    ),
    Rule(r"\bruns?\b(?! out| low)|\bregistry\b", runs),
    Rule(PLEASE + r"plan\b|\bseason\b|\bworkflows?\b|\bplans\b|\bplan [0-9a-f]{32}", plans),
    Rule(r"\bscenarios?\b", _always("list_scenarios", page_size=FEW)),
    Rule(
        r"\balerts?\b|\bwarnings?\b|\banything wrong\b|\bwhat(?:'s| is) wrong\b|\bneeds? (?:my |our )?attention\b|\bissues\b",
        alerts,
    ),
    Rule(
        r"\baccura|\bforecast errors?\b|\bwape\b|\bmape\b|\bbias\b|\bhow good\b.*\bforecast|\bforecasts?\b.*\bwrong\b|\bcoverage\b|"
        r"\bvalue[- ]added\b|\bfva\b|\bforecasts? add\b",
        accuracy,
    ),
    Rule(r"\bwhy\b|\bexplain|\bdrivers?\b|\breasons?\b", why),
    Rule(
        r"\brepleni|\breorder\b(?! point)|\bpurchas|\bwhat (?:should|do|must) (?:we|i) (?:order|buy)\b|\bto (?:order|buy)\b|"
        r"\bproposed orders?\b|\border proposals?\b",
        orders,
    ),
    Rule("|".join(STATES.values()) + r"|\brun(?:s|ning)? (?:out|low)\b|\bat risk\b|\bshortages?\b", risks),
    Rule(r"\bstock\b|\binventory\b|\bon hand\b|\bdays of cover\b|\breorder point\b|\bcover\b", stock),
    Rule(r"\bpromotions?\b|\bpromos?\b", dated("list_promotions")),
    Rule(r"\bholidays?\b", dated("list_calendar_days", is_holiday=True)),
    Rule(r"\bprice (?:history|changes?)\b|\b(?:current )?prices? of\b|\bhow much (?:does|do|is) .*\bcost", dated("list_prices")),
    Rule(
        r"\bforecasts?\b|\bpredict|\bexpect|\bproject(?:ed|ion)|\bwill\b.*\b(?:sell|be sold|demand)\b|\boutlook\b|\btomorrow\b|"
        r"\b(?:next|coming) (?:\w+ )?(?:day|week|month|quarter)s?\b",
        forecast,
    ),
    Rule(r"\bdemand patterns?\b|\b(?:abc|xyz)\b|" + PATTERNS, segments),
    Rule(
        r"\bhow are we doing\b|\boverview\b|\bsummary\b|\bdashboard\b|\bbriefing\b|\bgood morning\b|\bhow is business\b",
        _always("get_overview"),
    ),
    Rule(r"\b(?:which|list|what|show|all)\b.*\b(?:kpis|measures)\b", _definitions),
    Rule(r"\b(?:how many|list|which|what|show|all|find)\b", listed),
    Rule("|".join(GRANULARITY.values()), series),
    Rule(
        "|".join(
            (RANKED, COMPARES, r"\bwhich\b", r"\b(?:by|per|each) (?:" + "|".join(WORDS.values()) + r"|segment|demand pattern)s?\b")
        ),
        ranking,
    ),
    Rule(r"", again),
    Rule(SALES + r"|\bhow (?:much|many)\b", kpis),
    Rule(HEX.pattern, by_id),
    Rule(r"", named),
    Rule(
        r"^\W*(?:what|why|how|when|where|who|which|does|do|is|are|can|could|should|explain|tell)\b|\?\s*$",
        _any_document,
    ),
)
"""What an experiment agent goes by, in this order."""

DOCUMENTS = (RULES[0], RULES[1], RULES[3], Rule(r"\w", _document))
"""What a rag_assistant goes by."""
