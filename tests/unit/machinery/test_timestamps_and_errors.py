from __future__ import annotations

import pytest

from tiphys.machinery import errors, field_errors, timestamps
from tiphys.machinery.field_errors import Path


def test_times_become_utc() -> None:
    assert timestamps.parse_time("2026-01-31T12:00:00Z") == "2026-01-31T12:00:00Z"
    assert timestamps.parse_time("2026-01-31T14:00:00.9+02:00") == "2026-01-31T12:00:00Z"
    assert timestamps.parse_micro_time("2026-01-31T12:00:00.123456789Z") == "2026-01-31T12:00:00.123456Z"
    assert timestamps.seconds("1970-01-01T00:00:01.5Z") == 1.5
    assert timestamps.time_of(1.9) == "1970-01-01T00:00:01Z"
    assert timestamps.micro_time_of(1.5) == "1970-01-01T00:00:01.500000Z"


LAYOUT = '"2006-01-02T15:04:05Z07:00"'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", f' as {LAYOUT}: cannot parse "" as "2006"'),
        ("now", f' as {LAYOUT}: cannot parse "now" as "2006"'),
        ("2026-1-31", f' as {LAYOUT}: cannot parse "1-31" as "01"'),
        ("2026-01-31", f' as {LAYOUT}: cannot parse "" as "T"'),
        ("2026-01-31 12:00:00Z", f' as {LAYOUT}: cannot parse " 12:00:00Z" as "T"'),
        ("2026-01-31t12:00:00z", f' as {LAYOUT}: cannot parse "t12:00:00z" as "T"'),
        ("2026-01-31T12:00:00", f' as {LAYOUT}: cannot parse "" as "Z07:00"'),
        ("2026-01-31T12:00:00Zx", ': extra text: "x"'),
        ("2026-13-01T00:00:00Z", ": month out of range"),
        ("2026-01-01T24:00:00Z", ": hour out of range"),
        ("2026-02-30T00:00:00Z", ": day out of range"),
        ("2026-02-30T00:00:00+01:00", ": day out of range"),
    ],
)
def test_what_is_no_time_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        timestamps.parse_time(text)
    assert str(refused.value) == f'parsing time "{text}"{words}'


def test_paths_and_findings_read_as_clients_expect() -> None:
    path = Path("spec").child("containers").index(0)
    assert path.child("image") == "spec.containers[0].image"
    assert Path("metadata").child("labels").key("app") == "metadata.labels[app]"
    texts = [
        (field_errors.required(path), "spec.containers[0]: Required value"),
        (field_errors.required(path, "must be set"), "spec.containers[0]: Required value: must be set"),
        (field_errors.invalid(path, 'a"b', "bad"), 'spec.containers[0]: Invalid value: "a\\"b": bad'),
        (field_errors.invalid(path, -1, "bad"), "spec.containers[0]: Invalid value: -1: bad"),
        (field_errors.duplicate(path, "x"), 'spec.containers[0]: Duplicate value: "x"'),
        (
            field_errors.not_supported(path, "x", ["A", "B"]),
            'spec.containers[0]: Unsupported value: "x": supported values: "A", "B"',
        ),
        (field_errors.forbidden(path, "no"), "spec.containers[0]: Forbidden: no"),
        (field_errors.not_found(path, "x"), 'spec.containers[0]: Not found: "x"'),
        (field_errors.too_many(path, 3, 2), "spec.containers[0]: Too many: 3: must have at most 2 items"),
    ]
    for finding, text in texts:
        assert str(finding) == text


def test_an_invalid_object_is_a_status_with_every_cause() -> None:
    findings = [field_errors.required(Path("a")), field_errors.forbidden(Path("b"), "no")]
    error = errors.invalid("Pod", "", "web", findings)
    assert error.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'Pod "web" is invalid: [a: Required value, b: Forbidden: no]',
        "reason": "Invalid",
        "details": {
            "name": "web",
            "kind": "Pod",
            "causes": [
                {"reason": "FieldValueRequired", "message": "Required value", "field": "a"},
                {"reason": "FieldValueForbidden", "message": "Forbidden: no", "field": "b"},
            ],
        },
        "code": 422,
    }
    back = errors.from_status(error.status())
    assert back.status() == error.status()


def test_the_usual_errors() -> None:
    assert str(errors.not_found("deployments", "apps", "x")) == 'deployments.apps "x" not found'
    assert str(errors.already_exists("pods", "", "x")) == 'pods "x" already exists'
    conflict = errors.conflict("pods", "", "x", errors.MODIFIED_DETAIL)
    assert str(conflict) == (
        'Operation cannot be fulfilled on pods "x": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert errors.too_large_resource_version(9, 5).status()["details"] == {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }


def test_years_have_four_digits_whatever_the_year() -> None:
    assert timestamps.parse_micro_time("0001-01-01T00:00:02Z") == "0001-01-01T00:00:02.000000Z"
    assert timestamps.parse_time("0001-01-01T00:00:02.5Z") == "0001-01-01T00:00:02Z"


@pytest.mark.parametrize("text", ["0001-01-01T00:03:00+00:04", "9999-12-31T23:59:00.5-00:01"])
def test_a_time_whose_year_has_no_four_digits_in_utc_is_refused(text: str) -> None:
    for parse in (timestamps.parse_time, timestamps.parse_micro_time):
        with pytest.raises(ValueError, match="year outside of range"):
            parse(text)
