"""Words that messages are made of, and that are no names by themselves."""

_COMMON = (
    "a about above accuracy against alert alerts all am amount an and any are as ask at attention average bad basket baskets best",
    "better between bottom business but by can category chain class company compare compared cost could cover customers daily",
    "data date dates day days demand department did do does doing drop each euro euros everything expect expected few fewest find",
    "first for forecast forecasts from general get give good grand group growth had has have help high highest holiday holidays",
    "home how i if in income is issues it item items kpi kpis last least left less list low lowest main make many margin me mean",
    "mind model models money month months more most much my name need new next no none not now number of on one open or order",
    "orders other our out over overall overview pattern per performance period plan plans please price prices product products",
    "promo promos promotion quantity quarter quarters range ranking region report result results revenue run running runs sale",
    "sales same save see segment sell seller sellers selling sells series share shop should show sku small smooth so sold sort",
    "start state status stock store stores summary team tell terms test than that the them there these they this time to top",
    "total train transactions trend turnover type types unit units up us value values volume was way we week weekly weeks were",
    "what when where which who whole why will wise with without worst would year years you your",
)
_TIMES = (
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september october",
    "november december jan feb mar apr jun jul aug sep sept oct nov dec today tomorrow yesterday ytd mtd qtd wtd past previous",
    "prior recent coming christmas easter spring summer autumn fall winter",
)
COMMON = frozenset(word for line in _COMMON for word in line.split())
"""Even where something is called so, it has to be told as a name: category Home, or with a capital in the middle of a sentence."""

TIMES = frozenset(word for line in _TIMES for word in line.split())
"""Words of days, and of what days are called by."""
