"""params.yaml: puts the sections together, each from the room of its stage, and explains what is wrong with a file.

Unknown, missing and out-of-range keys are errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.curate.dedup.params import Dedup
from pipeline.curate.faces.params import Faces
from pipeline.curate.params import Flatten, Grid
from pipeline.curate.split.params import Split
from pipeline.cyclegan.params import Train, Translate
from pipeline.errors import BadParams
from pipeline.evaluate.params import Evaluate
from pipeline.runtime.settings import Executor, Resize, Section
from pipeline.sample.params import Sample
from pipeline.scrape.params import Scrape
from pipeline.style.params import Style

DEFAULT_FILE = Path("params.yaml")


class Params(Section):
    """All parameters of params.yaml."""

    epochs: Annotated[int, Field(ge=1, le=10000)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    sample: Sample
    scrape: Scrape
    faces: Faces
    dedup: Dedup
    flatten: Flatten
    grid: Grid
    resize: Resize
    split: Split
    train: Train
    translate: Translate
    style: Style
    evaluate: Evaluate
    executor: Executor


def load(file: Path = DEFAULT_FILE) -> Params:
    """Read and check a parameter file.

    Raises:
        BadParams: naming every offending key, its value and what was expected.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadParams(f"{file}: no such parameter file") from error
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise BadParams(f"{file}: not a YAML file: {' '.join(str(error).split())}") from error
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise BadParams(f"{file}: " + "; ".join(_explain(item) for item in error.errors())) from error


def _explain(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"] if not str(part).startswith("constrained"))
    if item["type"] == "missing":
        return f"{key} is missing"
    section, field = _place_of(item["loc"])
    if item["type"] == "extra_forbidden":
        names = ", ".join(sorted(section.model_fields))
        return f"{key} is unknown (known there: {names})"
    if item["type"] == "value_error":
        return f"{key}: {item['msg'].removeprefix('Value error, ')}"
    expected = _range(field) if field is not None else ""
    return f"{key or 'the file'}: {expected or item['msg']}, got {item['input']!r}"


def _place_of(loc: tuple[Any, ...]) -> tuple[type[Section], FieldInfo | None]:
    """The innermost section on the way to a key, and its field there, if it has one."""
    section: type[Section] = Params
    field: FieldInfo | None = None
    for part in loc:
        field = section.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, Section)):
            break
        section = field.annotation
    return section, field


def _range(field: FieldInfo) -> str:
    """The bounds of a number as text; empty for anything else (pydantic's own message then serves)."""
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = {name: getattr(rule, name) for rule in _rules(field) for name in signs if hasattr(rule, name)}
    if not bounds:
        return ""
    return "expected a number " + " and ".join(f"{signs[name]} {value}" for name, value in bounds.items())


def _rules(field: FieldInfo) -> list[Any]:
    nested = [rule for part in get_args(field.annotation) for rule in getattr(part, "__metadata__", ())]
    flat = [inner for rule in nested for inner in (rule.metadata if isinstance(rule, FieldInfo) else [rule])]
    return [*field.metadata, *flat]
