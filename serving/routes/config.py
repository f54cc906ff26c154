"""How is this server set up?"""

import re
from typing import Annotated

from litestar import get
from litestar.datastructures import State
from msgspec import Meta, Struct

from assets_config.settings import Origin, Setting, shown
from serving.layers.rules import ADMIN
from serving.settings import SETTINGS, Settings

MASK = "***"
PASSWORD = re.compile(r"(?<=//)[^/@]*@")


class SettingSaid(Struct, frozen=True):
    """One setting of the API."""

    name: Annotated[str, Meta(description="The variable of the environment, or of `.env`, that sets it.")]
    value: Annotated[str, Meta(description="What holds, as one would write it; of secrets only that there are some.")]
    default: str
    origin: Annotated[Origin, Meta(description="Where the value stands.")]
    help: str


class Config(Struct, frozen=True):
    """The settings that hold, and what was set by mistake."""

    items: list[SettingSaid]
    mistaken: Annotated[list[str], Meta(description="A sentence for each variable with our prefix that is no setting.")]


@get("/config", operation_id="get_config", tags=["system"], opt=ADMIN)
async def get_config(state: State) -> Config:
    """Every setting of the API with the value that holds, and where it was set: environment, `.env` or default.

    Options of the command line count as environment. The pipelines read their settings in processes of their own.
    """
    settings: Settings = state.settings
    return Config([_said(setting, settings) for setting in SETTINGS], list(settings.mistaken))


def _said(setting: Setting, settings: Settings) -> SettingSaid:
    text = shown(getattr(settings, setting.field))
    value = MASK if setting.is_secret and text else PASSWORD.sub(f"{MASK}@", text)
    origin = settings.origins.get(setting.name, "default" if text == setting.default else "environment")
    return SettingSaid(setting.name, value, setting.default, origin, setting.help)
