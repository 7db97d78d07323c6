"""The container runtime of a node: containerd as a supervised child, and the images that Tiphys makes itself."""
