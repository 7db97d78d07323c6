"""What several components need of the Linux kernel: network namespaces, netlink, nftables. It knows nothing of the
API."""
