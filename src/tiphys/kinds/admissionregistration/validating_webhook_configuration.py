"""ValidatingWebhookConfigurations: who outside is asked about requests and may object to what they bring."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.admissionregistration.webhook_validation import default_webhook, validate_webhooks
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.admissionregistration_v1 import ValidatingWebhookConfiguration
from tiphys.machinery.field_errors import FieldError


def default(configuration: ValidatingWebhookConfiguration) -> None:
    for webhook in configuration.webhooks or ():
        default_webhook(webhook)


def validate(configuration: ValidatingWebhookConfiguration) -> list[FieldError]:
    return validate_webhooks(configuration.webhooks or [])


STRATEGY: Strategy[ValidatingWebhookConfiguration] = Strategy(
    warnings=unserved.warned(unserved.WEBHOOKS),
    default=default,
    validate=validate,
    columns=(
        cells.name_column(),
        cells.number("Webhooks", lambda configuration: len(configuration.webhooks or ())),
        cells.age_column(),
    ),
    has_status=False,
    qualified_finalizers=False,
)
