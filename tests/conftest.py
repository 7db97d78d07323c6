"""Hypothesis judges what code does, not how fast this machine happens to be."""

from hypothesis import settings

settings.register_profile("patient", parent=settings(), deadline=None)
settings.load_profile("patient")
