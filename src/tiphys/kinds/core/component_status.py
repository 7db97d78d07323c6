"""ComponentStatuses: how the parts of the control plane are. Answered by the API server, never stored."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import ComponentStatus


def status_text(component: ComponentStatus) -> str:
    found = next((c for c in component.conditions or () if c.type == "Healthy"), None)
    return {"True": "Healthy", "False": "Unhealthy"}.get(found.status if found else "", "Unknown")


def _detail(component: ComponentStatus, field: str) -> str:
    found = next((c for c in component.conditions or () if c.type == "Healthy"), None)
    return (getattr(found, field) if found else "") or ""


STRATEGY: Strategy[ComponentStatus] = Strategy(
    columns=(
        cells.name_column(),
        cells.text("Status", status_text),
        cells.text("Message", lambda component: _detail(component, "message")),
        cells.text("Error", lambda component: _detail(component, "error")),
    ),
    has_generation=False,
    has_status=False,
)
