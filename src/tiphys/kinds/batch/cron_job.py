"""CronJobs: Jobs made from a template at the moments that a schedule names."""

from __future__ import annotations

import re
import zoneinfo

from tiphys.kinds import cells
from tiphys.kinds.batch import schedule
from tiphys.kinds.batch.job import default_templates, spec_warnings
from tiphys.kinds.batch.job_validation import validate_job_template_spec
from tiphys.kinds.core.template import hostname_warnings
from tiphys.kinds.number_findings import none_negative
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Column, Strategy
from tiphys.kinds.types.batch_v1 import CronJob, CronJobSpec
from tiphys.machinery.bounded_cache import bounded_cache
from tiphys.machinery.duration import age
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required

SPEC = Path("spec")
POLICIES = ("Allow", "Forbid", "Replace")
DOCS = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
ZONE_PART = re.compile(r"(?!-)[A-Za-z._0-9+-]{1,14}")
ZONE_PREFIX = re.compile("^(CRON_)?TZ=[^ ]* +")
NAME_LIMIT_CHARACTERS = 52  # the Jobs' names add eleven


def default(cron_job: CronJob) -> None:
    spec = cron_job.spec
    if not spec.concurrencyPolicy:
        spec.concurrencyPolicy = "Allow"
    if spec.suspend is None:
        spec.suspend = False
    if spec.successfulJobsHistoryLimit is None:
        spec.successfulJobsHistoryLimit = 3
    if spec.failedJobsHistoryLimit is None:
        spec.failedJobsHistoryLimit = 1
    default_templates(spec.jobTemplate.spec)


@bounded_cache(512)
def is_time_zone(name: str) -> bool:
    if name in ("UTC", "Etc/UTC"):
        return True
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def validate(cron_job: CronJob) -> list[FieldError]:
    found: list[FieldError] = []
    if len(cron_job.metadata.name or "") > NAME_LIMIT_CHARACTERS:
        detail = f"must be no more than {NAME_LIMIT_CHARACTERS} characters"
        found.append(invalid(Path("metadata.name"), cron_job.metadata.name, detail))
    return found + _spec_findings(cron_job.spec, None)


def validate_changed(new: CronJob, old: CronJob) -> list[FieldError]:
    """A name cannot be mended, and zones come and go: only what changed is held to today's rules."""
    return _spec_findings(new.spec, old.spec)


def _spec_findings(spec: CronJobSpec, old: CronJobSpec | None) -> list[FieldError]:
    found: list[FieldError] = []
    if not spec.schedule:
        found.append(required(SPEC.child("schedule")))
    else:
        had_zone = old is not None and "TZ" in old.schedule
        found += _schedule_findings(spec, SPEC.child("schedule"), had_zone)
    found += none_negative(spec, SPEC, "startingDeadlineSeconds")
    if spec.timeZone is not None and (old is None or spec.timeZone != old.timeZone):
        found += _zone_findings(spec.timeZone, SPEC.child("timeZone"))
    if spec.concurrencyPolicy not in POLICIES:
        at = SPEC.child("concurrencyPolicy")
        found.append(not_supported(at, spec.concurrencyPolicy, POLICIES) if spec.concurrencyPolicy else required(at))
    found += validate_job_template_spec(spec.jobTemplate.spec, SPEC.child("jobTemplate", "spec"))
    return found + none_negative(spec, SPEC, "successfulJobsHistoryLimit", "failedJobsHistoryLimit")


def _schedule_findings(spec: CronJobSpec, path: Path, had_zone: bool) -> list[FieldError]:
    """`had_zone`: the schedule named a time zone before that was forbidden, and so may go on doing so."""
    found: list[FieldError] = []
    try:
        schedule.parse(ZONE_PREFIX.sub("", spec.schedule, count=1))
    except ValueError as problem:
        found.append(invalid(path, spec.schedule, str(problem)))
    if "TZ" in spec.schedule and not had_zone:
        detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        found.append(invalid(path, spec.schedule, detail))
    elif "TZ" in spec.schedule and spec.timeZone is not None:
        detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        found.append(invalid(path, spec.schedule, detail))
    return found


def _zone_findings(zone: str, path: Path) -> list[FieldError]:
    if not zone:
        return [invalid(path, zone, "timeZone must be nil or non-empty string")]
    if any(part in (".", "..") or not ZONE_PART.fullmatch(part) for part in zone.split("/")):
        return [invalid(path, zone, f"unknown time zone {zone}")]
    if zone.lower() == "local":
        return [
            invalid(path, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")
        ]
    return [] if is_time_zone(zone) else [invalid(path, zone, f"unknown time zone {zone}")]


def _last_schedule(cron_job: CronJob, now: float) -> str:
    moment = cron_job.status.lastScheduleTime
    return age(moment, now) if moment else cells.NONE


def warnings(cron_job: CronJob, old: CronJob | None) -> list[str]:
    if old is not None and cron_job.spec == old.spec:
        return []
    found = hostname_warnings(cron_job.metadata) if old is None else []
    if "TZ" in cron_job.spec.schedule:
        found.append(f"CRON_TZ or TZ used in {SPEC.child('schedule')} is not officially supported, see {DOCS}")
    return found + spec_warnings(cron_job.spec.jobTemplate.spec, SPEC.child("jobTemplate", "spec"))


STRATEGY: Strategy[CronJob] = Strategy(
    warnings=warnings,
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_changed=validate_changed,
    columns=(
        cells.name_column(),
        cells.text("Schedule", lambda cron_job: cron_job.spec.schedule),
        cells.text("Timezone", lambda cron_job: cron_job.spec.timeZone or cells.NONE),
        Column(name="Suspend", type="boolean", cell=lambda c, _: "True" if c.spec.suspend else "False"),
        cells.number("Active", lambda cron_job: len(cron_job.status.active or ())),
        Column(name="Last Schedule", cell=_last_schedule),
        cells.age_column(),
        *cells.container_columns(lambda cron_job: cron_job.spec.jobTemplate.spec.template),
        cells.text(
            "Selector", lambda cron_job: cells.selector_text(cron_job.spec.jobTemplate.spec.selector), wide=True
        ),
    ),
)
