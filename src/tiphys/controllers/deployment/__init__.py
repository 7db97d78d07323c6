"""Deployments: rollouts over ReplicaSets."""
