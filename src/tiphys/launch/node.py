"""How the kubelet of a node on this machine is configured: which files, addresses and sockets."""

from __future__ import annotations

from tiphys.kubelet.component import KubeletConfig
from tiphys.launch.cluster import KUBELET_PORT, Cluster, ClusterNode, Layout


def kubelet_config(cluster: Cluster, node: ClusterNode, layout: Layout, runtime_socket: str) -> KubeletConfig:
    """`runtime_socket` is containerd's."""
    serving = layout.kubelet(node.name) / "pki"
    return KubeletConfig(
        node_name=node.name,
        node_addresses=(node.address,),
        root_dir=str(layout.kubelet(node.name)),
        log_dir=str(layout.pod_logs(node.name)),
        runtime_endpoint=runtime_socket,
        cgroup_root=node.cgroup,
        cluster_dns=(cluster.dns_address,),
        cluster_domain=cluster.domain,
        server_address=node.address,
        server_port=KUBELET_PORT,
        tls_cert_file=str(serving / "kubelet.crt"),
        tls_key_file=str(serving / "kubelet.key"),
        client_ca_file=str(layout.pki / "ca.crt"),
        max_pods=cluster.max_pods,
    )
