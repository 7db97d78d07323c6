"""IngressClasses: which controller serves the Ingresses of a class."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.domain_prefixed import domain_prefixed_findings
from tiphys.kinds.object_meta import immutable, label_name, path_segment_name, subdomain_name
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import TypedLocalObjectReference
from tiphys.kinds.types.networking_v1 import IngressClass, IngressClassParametersReference
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required, too_long

SPEC = Path("spec")
CONTROLLER_LIMIT_BYTES = 250
SCOPES = ("Cluster", "Namespace")


def default(ingress_class: IngressClass) -> None:
    parameters = ingress_class.spec.parameters
    if parameters is not None and parameters.scope is None:
        parameters.scope = "Cluster"


def validate(ingress_class: IngressClass) -> list[FieldError]:
    spec = ingress_class.spec
    found: list[FieldError] = []
    controller = spec.controller or ""
    if len(controller) > CONTROLLER_LIMIT_BYTES:
        found.append(too_long(SPEC.child("controller"), CONTROLLER_LIMIT_BYTES))
    found += domain_prefixed_findings(controller, SPEC.child("controller"))
    if spec.parameters is not None:
        found += _parameter_findings(spec.parameters, SPEC.child("parameters"))
    return found


def validate_reference(
    reference: IngressClassParametersReference | TypedLocalObjectReference, path: Path
) -> list[FieldError]:
    """A reference to an object of any kind, by names that can stand in a URL."""
    found: list[FieldError] = []
    group = reference.apiGroup
    if group is not None:
        found += [invalid(path.child("apiGroup"), group, text) for text in subdomain_name(group)]
    for field in ("kind", "name"):
        value = getattr(reference, field)
        if not value:
            found.append(required(path.child(field), f"{field} is required"))
        found += [invalid(path.child(field), value, text) for text in path_segment_name(value)]
    return found


def _parameter_findings(reference: IngressClassParametersReference, path: Path) -> list[FieldError]:
    found = validate_reference(reference, path)
    if reference.scope is None:
        found.append(required(path.child("scope")))
    elif reference.scope not in SCOPES:
        found.append(not_supported(path.child("scope"), reference.scope, SCOPES))
    namespace = reference.namespace
    if reference.scope == "Namespace":
        if not namespace:
            found.append(required(path.child("namespace"), "`parameters.scope` is set to 'Namespace'"))
        else:
            found += [invalid(path.child("namespace"), namespace, text) for text in label_name(namespace)]
    elif reference.scope == "Cluster" and namespace is not None:
        found.append(forbidden(path.child("namespace"), "`parameters.scope` is set to 'Cluster'"))
    return found


def _parameters(ingress_class: IngressClass) -> str:
    reference = ingress_class.spec.parameters
    if reference is None:
        return cells.NONE
    kind = f"{reference.kind}.{reference.apiGroup}" if reference.apiGroup else reference.kind
    return f"{kind}/{reference.name}"


STRATEGY: Strategy[IngressClass] = Strategy(
    default=default,
    validate=validate,
    validate_update=lambda new, old: immutable(new.spec.controller, old.spec.controller, SPEC.child("controller")),
    columns=(
        cells.name_column(),
        cells.text("Controller", lambda ingress_class: ingress_class.spec.controller or ""),
        cells.text("Parameters", _parameters),
        cells.age_column(),
    ),
    has_status=False,
)
