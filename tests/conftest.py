"""Hypothesis judges what code does, not how fast this machine happens to be."""

from hypothesis import HealthCheck, settings

settings.register_profile("patient", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
