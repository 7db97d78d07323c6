"""AppArmor profiles as annotations held them before there were fields: `container.apparmor.security.beta...`/NAME."""

from __future__ import annotations

from tiphys.kinds.types.core_v1 import AppArmorProfile

ANNOTATION_PREFIX = "container.apparmor.security.beta.kubernetes.io/"
LOCALHOST_PREFIX = "localhost/"
PLAIN_VALUES = {"runtime/default": "RuntimeDefault", "unconfined": "Unconfined"}


def profile_of(text: str) -> AppArmorProfile | None:
    """The field that means the same; None when no field does."""
    if text in PLAIN_VALUES:
        return AppArmorProfile(type=PLAIN_VALUES[text])
    name = text.removeprefix(LOCALHOST_PREFIX)
    if name == text or not name.strip() or name.strip() != name:
        return None
    return AppArmorProfile(type="Localhost", localhostProfile=name)


def is_well_formed(text: str) -> bool:
    return not text or text in PLAIN_VALUES or text.startswith(LOCALHOST_PREFIX)
