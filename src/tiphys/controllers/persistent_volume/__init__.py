"""Persistent volumes and the claims to them: binding, reclaiming, and protection while in use."""
