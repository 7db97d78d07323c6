"""What happens to nodes that do not report any more, and to the pods on them."""
