"""Whether plain JSON fits a schema: compiled once into closures, then called for every object.

What stands in a list twice is `repeats.py`'s business, what is wrong with objects within objects is the kinds'.

A check gets the value and its place and adds findings in the words of Kubernetes. Invariants: a check never changes
the value; a value that fits costs no string. Kinds of values: JSON as msgspec decodes it (dict, list, str, int, float,
bool, None). Which schemas are allowed at all is `structural.py`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tiphys.machinery import field_errors
from tiphys.machinery.field_errors import FieldError
from tiphys.machinery.schema.formats import FORMATS, GREATEST_FLOAT, INTEGER_RANGES
from tiphys.machinery.schema.patterns import compile_pattern
from tiphys.machinery.schema.places import Place, path_of

Schema = Mapping[str, Any]
Check = Callable[[Any, Place, list[FieldError]], None]

_sorted_json = msgspec.json.Encoder(order="deterministic").encode
INT_OR_STRING = "x-kubernetes-int-or-string"
EMBEDDED = "x-kubernetes-embedded-resource"
NO_PATH = "<nil>"
_INT64 = INTEGER_RANGES["int64"]


def type_name(value: Any) -> str:
    """The word of JSON schemas for the type of a value."""
    if value is None:
        return "null"
    if type(value) is int and not _INT64[0] <= value <= _INT64[1]:
        return "number"
    return _TYPE_NAMES.get(type(value), "object")


_TYPE_NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


def number_text(number: float) -> str:
    """A bound as messages show it: `10`, `0.5`."""
    return str(int(number)) if float(number).is_integer() else repr(number)


def _fits(value: Any, kind: str) -> bool:
    found = type(value)
    if kind == "integer":
        return (found is int or (found is float and value.is_integer())) and _INT64[0] <= value <= _INT64[1]
    if kind == "number":
        return found is int or found is float
    return _TYPE_NAMES.get(found) == kind


def compile_check(schema: Schema) -> Check:
    """The check of one schema and everything below it."""
    kinds = ("integer", "string") if schema.get(INT_OR_STRING) else (schema["type"],) if schema.get("type") else ()
    wording = ",".join(kinds)
    nullable = bool(schema.get("nullable"))
    enum = _enum_check(schema["enum"]) if schema.get("enum") else None
    by_type: dict[type[Any], tuple[Check, ...]] = {
        str: tuple(_string_checks(schema)),
        int: tuple(_number_checks(schema, int)),
        float: tuple(_number_checks(schema, float)),
        list: tuple(_array_checks(schema)),
        dict: tuple(_object_checks(schema)),
        bool: (),
    }
    always = tuple(_combined_checks(schema))
    either = _any_of([compile_check(part) for part in schema["anyOf"]]) if _says_int_or_string(schema) else _passes
    if enum is not None:
        always = (enum, *always)
    # The usual value has exactly the type asked for: that is one comparison.
    quick = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}.get(
        kinds[0] if len(kinds) == 1 else ""
    )

    def check(value: Any, place: Place, found: list[FieldError]) -> None:
        cls = type(value)
        if cls is not quick:
            if value is None:
                if not nullable and kinds:
                    found.append(_wrong_type(value, place, wording))
                if enum is not None:
                    enum(value, place, found)
                return
            if kinds and not any(_fits(value, kind) for kind in kinds):
                found += _wrong_types(value, place, wording, schema.get("format") or "")
                either(value, place, found)
        for part in by_type[cls]:
            part(value, place, found)
        for part in always:
            part(value, place, found)

    return check


def _wrong_type(value: Any, place: Place, wanted: str) -> FieldError:
    path, name = path_of(place), type_name(value)
    return field_errors.type_invalid(path, name, f'{path} in body must be of type {wanted}: "{name}"')


def _wrong_types(value: Any, place: Place, wanted: str, number_format: str) -> list[FieldError]:
    """A number with a fraction, or too large, is told apart from what is no number at all."""
    if wanted != "integer" or type(value) not in (int, float):
        return [_wrong_type(value, place, wanted)]
    if number_format not in INTEGER_RANGES:
        return [_wrong_type(value, place, wanted), _unchecked(place, "integer (default format)")]
    path = path_of(place)
    detail = f'{path} in body must be of type {number_format}: "float64"'
    found = field_errors.type_invalid(path, "float64", detail)
    return [found, _unchecked(place, f"integer with format {number_format}")]


def _unchecked(place: Place, wanted: str) -> FieldError:
    message = f'Invalid value: "": Checked value must be of type {wanted} in {path_of(place)}'
    return FieldError(reason="FieldValueInvalid", field=NO_PATH, message=message)


def _passes(value: Any, place: Place, found: list[FieldError]) -> None:
    """Finds nothing."""


def _bad(value: Any, place: Place, words: str) -> FieldError:
    path = path_of(place)
    return field_errors.invalid(path, value, f"{path} in body {words}")


def _count(count: int, place: Place, words: str) -> FieldError:
    path = path_of(place)
    return field_errors.invalid(path, count, f"{path} in body {words}")


def _enum_check(allowed: Sequence[Any]) -> Check:
    encoded = {_sorted_json(value) for value in allowed}
    strings = {value for value in allowed if isinstance(value, str)}
    words = [value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in allowed]

    def check(value: Any, place: Place, found: list[FieldError]) -> None:
        if type(value) is str:
            if value in strings:
                return
        elif _sorted_json(_whole(value)) in encoded:
            return
        found.append(field_errors.not_supported(path_of(place), value, words))

    return check


def _whole(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value


def _string_checks(schema: Schema) -> list[Check]:
    checks: list[Check] = []
    longest, shortest = schema.get("maxLength"), schema.get("minLength")
    search = compile_pattern(schema["pattern"]).search if schema.get("pattern") else None
    if longest is not None or shortest or search is not None:

        def check_text(value: Any, place: Place, found: list[FieldError]) -> None:
            if longest is not None and len(value) > longest:
                found.append(field_errors.too_long(path_of(place), longest))
            elif shortest and len(value) < shortest:
                found.append(_bad(value, place, f"should be at least {shortest} chars long"))
            elif search is not None and search(value) is None:
                found.append(_bad(value, place, f"should match '{schema['pattern']}'"))

        checks.append(check_text)
    fits = FORMATS.get(schema.get("format") or "")
    if fits is not None and (schema.get("type") == "string" or schema.get(INT_OR_STRING) or not schema.get("type")):

        def check_format(value: Any, place: Place, found: list[FieldError]) -> None:
            if not fits(value):
                path = path_of(place)
                shown = field_errors.shown(value)
                detail = f"{path} in body must be of type {schema['format']}: {shown}"
                found.append(field_errors.type_invalid(path, value, detail))

        checks.append(check_format)
    return checks


def _number_checks(schema: Schema, convert: type[int] | type[float]) -> list[Check]:
    """The checks of whole numbers and of others: limits are cut to whole ones for the former."""
    checks: list[Check] = []
    given = (schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf"))
    low, high, step = (None if limit is None else convert(limit) for limit in given)
    above, below = bool(schema.get("exclusiveMinimum")), bool(schema.get("exclusiveMaximum"))
    if step is not None:
        checks.append(_step_check(step))
    if low is not None:
        low_words = f"should be greater than {'' if above else 'or equal to '}{number_text(low)}"

        def check_low(value: Any, place: Place, found: list[FieldError]) -> None:
            if value < low or (above and value == low):
                found.append(_bad(value, place, low_words))

        checks.append(check_low)
    if high is not None:
        high_words = f"should be less than {'' if below else 'or equal to '}{number_text(high)}"

        def check_high(value: Any, place: Place, found: list[FieldError]) -> None:
            if value > high or (below and value == high):
                found.append(_bad(value, place, high_words))

        checks.append(check_high)
    return [*_range_checks(schema, convert), *checks]


def _range_checks(schema: Schema, convert: type[int] | type[float]) -> list[Check]:
    """What the format has room for; whole numbers that 64 bits have no room for are not whole."""
    kind, number_format = schema.get("type"), schema.get("format") or ""
    if kind == "integer" and convert is int:
        least, greatest = INTEGER_RANGES.get(number_format, _INT64)

        def check_whole(value: Any, place: Place, found: list[FieldError]) -> None:
            if not _INT64[0] <= value <= _INT64[1]:
                found += _wrong_types(value, place, kind, number_format)
            elif not least <= value <= greatest:
                found.append(_unchecked(place, f"{kind} with format {number_format}"))

        return [check_whole]
    if kind == "number" and number_format == "float":

        def check_float(value: Any, place: Place, found: list[FieldError]) -> None:
            if abs(value) > GREATEST_FLOAT:
                found.append(_unchecked(place, f"{kind} with format {number_format}"))

        return [check_float]
    return []


def _step_check(step: float) -> Check:
    def check(value: Any, place: Place, found: list[FieldError]) -> None:
        if step <= 0:
            path = path_of(place)
            detail = f"factor MultipleOf declared for {path} must be positive: {number_text(step)}"
            found.append(field_errors.invalid(path, step, detail))
            return
        quotient = value / step
        if abs(quotient - round(quotient)) > 1e-9 * max(1.0, abs(quotient)):
            found.append(_bad(value, place, f"should be a multiple of {number_text(step)}"))

    return check


def _array_checks(schema: Schema) -> list[Check]:
    checks: list[Check] = []
    most, least, items = schema.get("maxItems"), schema.get("minItems"), schema.get("items")
    if most is not None or least:

        def check_size(value: Any, place: Place, found: list[FieldError]) -> None:
            if most is not None and len(value) > most:
                found.append(field_errors.too_many(path_of(place), len(value), most))
            if least and len(value) < least:
                found.append(_count(len(value), place, f"should have at least {least} items"))

        checks.append(check_size)
    if schema.get("uniqueItems"):

        def check_unique(value: Any, place: Place, found: list[FieldError]) -> None:
            if len({_sorted_json(item) for item in value}) != len(value):
                found.append(_bad(value, place, "shouldn't contain duplicates"))

        checks.append(check_unique)
    if isinstance(items, Mapping):
        one = compile_check(items)

        def check_items(value: Any, place: Place, found: list[FieldError]) -> None:
            for position, item in enumerate(value):
                one(item, (place, position), found)

        checks.append(check_items)
    return checks


def _object_checks(schema: Schema) -> list[Check]:
    checks: list[Check] = []
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if most is not None or least:

        def check_size(value: Any, place: Place, found: list[FieldError]) -> None:
            if most is not None and len(value) > most:
                found.append(field_errors.too_many(path_of(place), len(value), most))
            if least and len(value) < least:
                found.append(_count(len(value), place, f"should have at least {least} properties"))

        checks.append(check_size)
    required = tuple(schema.get("required") or ())
    if required:

        def check_required(value: Any, place: Place, found: list[FieldError]) -> None:
            for name in required:
                if name not in value:
                    found.append(field_errors.required(path_of((place, name))))

        checks.append(check_required)
    properties = {name: compile_check(part) for name, part in (schema.get("properties") or {}).items()}
    rest = schema.get("additionalProperties")
    others = compile_check(rest) if isinstance(rest, Mapping) else _refused if rest is False else None
    if properties or others is not None:
        known = properties.get

        def check_properties(value: Any, place: Place, found: list[FieldError]) -> None:
            for name, item in value.items():
                part = known(name, others)
                if part is not None:
                    part(item, (place, name), found)

        checks.append(check_properties)
    return checks


def _refused(value: Any, place: Place, found: list[FieldError]) -> None:
    """What no schema allows."""
    above, name = place if place is not None else (None, "")
    found.append(field_errors.invalid(path_of(above), name, f"{path_of(place)} in body is a forbidden property"))


def _as_whole(place: Place, words: str) -> FieldError:
    """Findings about a choice of schemas are not about one field."""
    detail = f'"{path_of(place)}" must {words}'
    return FieldError(reason="FieldValueInvalid", field=NO_PATH, message=f'Invalid value: "": {detail}')


def _combined_checks(schema: Schema) -> list[Check]:
    checks: list[Check] = []
    if schema.get("allOf"):
        checks.append(_all_of([compile_check(part) for part in schema["allOf"]]))
    if schema.get("anyOf") and not _says_int_or_string(schema):
        checks.append(_any_of([compile_check(part) for part in schema["anyOf"]]))
    if schema.get("oneOf"):
        checks.append(_one_of([compile_check(part) for part in schema["oneOf"]]))
    if schema.get("not") is not None:
        refused = compile_check(schema["not"])

        def check_not(value: Any, place: Place, found: list[FieldError]) -> None:
            against: list[FieldError] = []
            refused(value, place, against)
            if not against:
                found.append(_as_whole(place, "not validate the schema (not)"))

        checks.append(check_not)
    return checks


def _says_int_or_string(schema: Schema) -> bool:
    """`anyOf: [{type: integer}, {type: string}]` beside the marker says the same once more."""
    return bool(schema.get(INT_OR_STRING)) and list(schema.get("anyOf") or ()) == [
        {"type": "integer"},
        {"type": "string"},
    ]


def _results(parts: Sequence[Check], value: Any, place: Place) -> list[list[FieldError]]:
    results: list[list[FieldError]] = []
    for part in parts:
        findings: list[FieldError] = []
        part(value, place, findings)
        results.append(findings)
    return results


def _closest(results: list[list[FieldError]]) -> list[FieldError]:
    """The findings of the choice that nearly fits."""
    return min(results, key=lambda findings: len(findings))


def _all_of(parts: Sequence[Check]) -> Check:
    def check(value: Any, place: Place, found: list[FieldError]) -> None:
        results = _results(parts, value, place)
        failed = sum(map(bool, results))
        if failed:
            for findings in results:
                found += findings
            ending = ". None validated" if failed == len(parts) else ""
            found.append(_as_whole(place, f"validate all the schemas (allOf){ending}"))

    return check


def _any_of(parts: Sequence[Check]) -> Check:
    def check(value: Any, place: Place, found: list[FieldError]) -> None:
        results = _results(parts, value, place)
        if all(results):
            found.append(_as_whole(place, "validate at least one schema (anyOf)"))
            found += _closest(results)

    return check


def _one_of(parts: Sequence[Check]) -> Check:
    def check(value: Any, place: Place, found: list[FieldError]) -> None:
        results = _results(parts, value, place)
        valid = sum(not findings for findings in results)
        if valid == 1:
            return
        words = "Found none valid" if not valid else f"Found {valid} valid alternatives"
        found.append(_as_whole(place, f"validate one and only one schema (oneOf). {words}"))
        if not valid:
            found += _closest(results)

    return check
