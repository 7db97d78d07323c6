"""StatefulSets: pods with a name, a place in the order and storage of their own."""
