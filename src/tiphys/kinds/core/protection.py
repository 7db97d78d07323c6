"""The finalizers that keep claims and volumes while they are in use."""

from __future__ import annotations

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
