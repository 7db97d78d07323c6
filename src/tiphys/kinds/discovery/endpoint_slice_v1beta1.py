"""EndpointSlices (discovery.k8s.io/v1beta1): the older form, in which labels say where an endpoint is.

Objects are stored in the newer form; `conversion.py` says how. What may be written is checked in that form, too.
"""

from __future__ import annotations

from tiphys.kinds.conversion import in_version
from tiphys.kinds.discovery import endpoint_slice as newer
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types import discovery_v1
from tiphys.kinds.types.discovery_v1beta1 import EndpointSlice

STRATEGY: Strategy[EndpointSlice] = Strategy(
    warnings=newer.warnings,
    default=newer.default,
    prepare_for_update=newer.next_generation,
    validate=in_version(discovery_v1.EndpointSlice, newer.validate),
    validate_update=in_version(discovery_v1.EndpointSlice, newer.validate_update),
    columns=newer.COLUMNS,
    has_status=False,
)
