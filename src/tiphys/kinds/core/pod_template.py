"""PodTemplates: templates kept as objects of their own."""

from __future__ import annotations

import dataclasses

from tiphys.kinds import cells
from tiphys.kinds.core.pod_warnings import template_warnings
from tiphys.kinds.core.template import default_template, validate_template
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import PodTemplate
from tiphys.machinery.field_errors import FieldError, Path, required


def default(holder: PodTemplate) -> None:
    if holder.template is not None:
        default_template(holder.template)


def validate(holder: PodTemplate) -> list[FieldError]:
    if holder.template is None:
        return [required(Path("template.spec.containers"))]
    return validate_template(holder.template, Path("template"))


def warnings(holder: PodTemplate, old: PodTemplate | None) -> list[str]:
    return template_warnings(holder.template, Path("template")) if holder.template is not None else []


STRATEGY: Strategy[PodTemplate] = Strategy(
    warnings=warnings,
    default=default,
    validate=validate,
    columns=(
        cells.name_column(),
        *(
            dataclasses.replace(column, priority=0)
            for column in cells.container_columns(lambda holder: holder.template)
        ),
        cells.text(
            "Pod Labels", lambda holder: cells.pairs_text(holder.template.metadata.labels if holder.template else {})
        ),
        cells.age_column(),
    ),
    has_status=False,
)
