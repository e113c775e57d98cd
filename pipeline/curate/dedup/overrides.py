"""Reads what a person decided about pairs of works, against or ahead of the rules of deduplication.

    {"one": "lospec-02a2998b2ce6ffd8", "other": "pixeljoint-4b227777d4dd1fc6", "verdict": "same", "note": "reposted"}

`same`: one work, the less preferred goes. `alternate`: both stay, as one family. `different`: both stay and have
nothing to do with each other. One JSON object a line; `note` and `date` are free text for the people who keep the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.errors import BadInput
from pipeline.runtime import lists

Verdict = Literal["same", "alternate", "different"]
Overrides = Mapping[frozenset[str], str]  # pair of ids -> verdict
Id = Annotated[str, Field(min_length=1)]

SAME, ALTERNATE, DIFFERENT = VERDICTS = get_args(Verdict)
EXPECTED = (
    'expected {"one": ID, "other": ANOTHER_ID, "verdict": "same" or "alternate" or "different"}, '
    'with "note" and "date" as texts if any'
)


class Override(BaseModel):
    """A line of the file: what a person decided about two works."""

    model_config = ConfigDict(extra="forbid", strict=True)

    one: Id
    other: Id
    verdict: Verdict
    note: str = ""
    date: str = ""

    @model_validator(mode="after")
    def _names_two_works(self) -> Override:
        if self.one == self.other:
            raise ValueError("the same work twice")
        return self


def load(path: Path) -> Overrides:
    """Read the verdicts of a file.

    Raises:
        BadInput: no such file, a line that is no verdict, or two lines that contradict each other.
    """
    verdicts: dict[frozenset[str], str] = {}
    places: dict[frozenset[str], str] = {}
    for place, line in lists.read(path, Override, topic="overrides", expected=EXPECTED):
        pair = frozenset((line.one, line.other))
        if verdicts.setdefault(pair, line.verdict) != line.verdict:
            first = places[pair].rpartition(":")[2]
            raise BadInput(f"{place}: {line.verdict!r} contradicts line {first}, which says {verdicts[pair]!r}")
        places.setdefault(pair, place)
    return verdicts
