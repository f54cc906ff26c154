"""Which of the package's extras are installed, and whether every version is one that pyproject.toml allows."""

import re
from importlib.metadata import PackageNotFoundError, requires, version

import msgspec

SAME_MODULE = {"xgboost-cpu": "xgboost"}
"""Either package gives the same module: docs/install.md says how to swap them."""

REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)\s*(?P<range>[^;]*)(?:;.*extra == ['\"](?P<extra>\w+)['\"])?",
)
COMPARISONS = {
    ">=": lambda found, bound: found >= bound,
    "<": lambda found, bound: found < bound,
    "==": lambda found, bound: found == bound,
}


class Requirement(msgspec.Struct, frozen=True):
    """One line of pyproject.toml's dependencies; `extra` is empty for those of the package itself."""

    name: str
    bounds: str
    extra: str

    @property
    def found(self) -> str | None:
        """The installed version; None where there is none."""
        for name in (self.name, SAME_MODULE.get(self.name)):
            try:
                return version(name) if name else None
            except PackageNotFoundError:
                continue
        return None

    def fault(self) -> str | None:
        """What is wrong with what is installed, or None."""
        found = self.found
        if found is None:
            return f"{self.name} is missing"
        for bound in filter(None, self.bounds.split(",")):
            operator, wanted = re.fullmatch(r"\s*([<>=]+)\s*(\S+)\s*", bound).groups()  # type: ignore[union-attr]
            if not COMPARISONS[operator](numbers(found), numbers(wanted)):
                return f"{self.name} {found} is installed, {self.bounds} is needed"
        return None


def requirements() -> list[Requirement]:
    """What the package asks for, by extra."""
    matches = [REQUIREMENT.match(line) for line in requires("demandgraph") or []]
    return [Requirement(m["name"], m["range"].strip(), m["extra"] or "") for m in matches if m]


def numbers(text: str) -> tuple[int, ...]:
    """A release as numbers, without zeros at the end, so that 1.13 and 1.13.0 are equal.

    >>> numbers("2.10.0rc1")
    (2, 10)
    """
    release = re.match(r"\d+(\.\d+)*", text)
    parts = [int(part) for part in release[0].split(".")] if release else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
