"""Names of services and pods, answered on each node."""
