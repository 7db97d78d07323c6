"""Everything of this package that touches a socket, disk, process or the kernel."""
