"""How is this server set up, and change what may change while it runs."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Optional

import msgspec
from litestar import Request, get, patch
from litestar.datastructures import State
from litestar.params import JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from assets_config.settings import Origin, Setting, shown
from serving.changed import Changed, UnreadableChanges
from serving.layers.reads import outside
from serving.layers.rules import ADMIN
from serving.problems import Conflict, invalid
from serving.settings import LIVE_SETTINGS, SETTINGS

MASK = "***"
PASSWORD = re.compile(r"(?<=//)[^/@]*@")


class SettingSaid(Struct, frozen=True):
    """One setting of the API."""

    name: Annotated[str, Meta(description="The variable of the environment, or of `.env`, that sets it.")]
    value: Annotated[str, Meta(description="What holds, as one would write it; of secrets only that there are some.")]
    default: str
    origin: Annotated[Origin, Meta(description="Where the value stands; changed: it was set by PATCH /config, over all others.")]
    help: str
    is_changeable: Annotated[bool, Meta(description="Whether PATCH /config changes it; the others take a restart.")] = False
    changed_at: Annotated[datetime | None, Meta(description="When it was changed, UTC; null where it was not.")] = None
    changed_by: Annotated[str | None, Meta(description="Name of the key that changed it; null where it was not.")] = None


class Config(Struct, frozen=True):
    """The settings that hold, and what was set by mistake."""

    items: list[SettingSaid]
    mistaken: Annotated[list[str], Meta(description="A sentence for each variable with our prefix that is no setting.")]


SettingsChange = msgspec.defstruct(
    "SettingsChange",
    [(name, Optional[each.type] | UnsetType, UNSET) for name, each in LIVE_SETTINGS.items()],  # noqa: UP045 - no `|` with Annotated
    frozen=True,
    forbid_unknown_fields=True,
    namespace={"__doc__": "What to change of the settings. What is not given stays; null takes back what was changed before."},
)


@get("/config", operation_id="get_config", tags=["system"], opt=ADMIN)
async def get_config(state: State) -> Config:
    """Every setting of the API with the value that holds, and where it was set: environment, `.env`, default, or changed since.

    Options of the command line count as environment. The pipelines read their settings in processes of their own. PATCH /config
    changes those that are `is_changeable`.
    """
    outside()
    state.changed.look()
    return _config(state.changed)


@patch("/config", operation_id="update_config", tags=["system"], opt=ADMIN)
async def update_config(request: Request[Any, Any, Any], state: State, data: JSONBody[SettingsChange]) -> Config:  # type: ignore[valid-type]
    """Change limits of the API while it runs, all or none, by their name in lower case without the prefix: {"read_rate": 50}.

    They hold in every worker within a second, also after a restart, until null takes them back. 409 where the file of changes
    cannot be read.
    """
    values = {name: value for name, value in structs.asdict(data).items() if value is not UNSET}
    if not values:
        raise invalid("body", None, f"has nothing to change: send one of {', '.join(LIVE_SETTINGS)}", code="missing")
    by: str | None = request.scope["state"]["key"]
    try:
        await asyncio.to_thread(state.changed.write, values, at=datetime.now(UTC), by=by)
    except UnreadableChanges as error:
        raise Conflict(str(error)) from error
    state.changed.look()
    return _config(state.changed)


def _config(changed: Changed) -> Config:
    return Config([_said(setting, changed) for setting in SETTINGS], list(changed.settings.mistaken))


def _said(setting: Setting, changed: Changed) -> SettingSaid:
    settings, change = changed.settings, changed.changes.get(setting.field)
    text = shown(getattr(settings, setting.field))
    value = MASK if setting.is_secret and text else PASSWORD.sub(f"{MASK}@", text)
    given = settings.origins.get(setting.name, "default" if text == setting.default else "environment")
    said = SettingSaid(setting.name, value, setting.default, given, setting.help, setting.is_live)
    if change is None:
        return said
    return structs.replace(said, origin="changed", changed_at=change.changed_at, changed_by=change.changed_by)
