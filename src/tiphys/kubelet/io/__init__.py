"""The kubelet's shell: everything that touches a socket, disk, process, kernel or clock."""
