"""What a gateway answers, as models that take what a newer gateway adds and leave unknown what an older one does not say."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Shape(BaseModel):
    """An object of the orchestrator surface. Fields that this version does not know are kept in `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True, use_attribute_docstrings=True, defer_build=True)


class JobShape(BaseModel):
    """An object of the pr_agent surface, whose names are written in camelCase there and in snake_case here."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        defer_build=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )
