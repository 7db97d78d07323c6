from __future__ import annotations

from tiphys.kinds import codec
from tiphys.kinds.types import core_v1
from tiphys.kubelet.dns_config import DnsConfig, dns_config, hosts_file, parse_resolv_conf, pod_hostname

HOST = DnsConfig(servers=("192.0.2.1",), searches=("example.net",), options=("timeout:2",))


def pod(**spec: object) -> core_v1.Pod:
    return codec.convert(
        {"metadata": {"name": "web-0", "namespace": "shop"}, "spec": {"containers": [], **spec}}, core_v1.Pod
    )


def configured(**spec: object) -> DnsConfig:
    return dns_config(pod(**spec), ["10.96.0.10"], "cluster.local", HOST)


def test_the_machines_own_file_is_read() -> None:
    text = "# comment\nnameserver 192.0.2.1\nsearch a.example b.example\n"
    text += "options ndots:2 rotate\nnameserver 192.0.2.2 # two\n"
    assert parse_resolv_conf(text) == DnsConfig(
        servers=("192.0.2.1", "192.0.2.2"), searches=("a.example", "b.example"), options=("ndots:2", "rotate")
    )


def test_policies() -> None:
    cluster = DnsConfig(
        servers=("10.96.0.10",),
        searches=("shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.net"),
        options=("ndots:5",),
    )
    assert configured() == cluster
    assert configured(dnsPolicy="Default") == HOST
    assert configured(dnsPolicy="ClusterFirst", hostNetwork=True) == HOST
    assert configured(dnsPolicy="ClusterFirstWithHostNet", hostNetwork=True) == cluster
    assert configured(dnsPolicy="None") == DnsConfig()


def test_dns_config_is_merged_and_limited() -> None:
    extra = {
        "nameservers": ["192.0.2.9"],
        "searches": ["x.example", "cluster.local"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    }
    assert configured(dnsConfig=extra) == DnsConfig(
        servers=("10.96.0.10", "192.0.2.9"),
        searches=("shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.net", "x.example"),
        options=("ndots:2", "edns0"),
    )
    many = configured(dnsPolicy="None", dnsConfig={"nameservers": [f"192.0.2.{n}" for n in range(5)]})
    assert many.servers == ("192.0.2.0", "192.0.2.1", "192.0.2.2")
    assert many.warning.startswith("Nameserver limits were exceeded")


def test_host_names() -> None:
    assert pod_hostname(pod(), "cluster.local") == ("web-0", "")
    named = pod(hostname="first", subdomain="web")
    assert pod_hostname(named, "cluster.local") == ("first", "first.web.shop.svc.cluster.local")


def test_the_hosts_file() -> None:
    aliases = [{"ip": "192.0.2.7", "hostnames": ["a.local", "b.local"]}]
    own = hosts_file(pod(subdomain="web", hostAliases=aliases), ["10.244.0.5"], "cluster.local", "")
    assert own == (
        "# Kubernetes-managed hosts file.\n"
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\n"
        "fe00::0\tip6-mcastprefix\n"
        "fe00::1\tip6-allnodes\n"
        "fe00::2\tip6-allrouters\n"
        "10.244.0.5\tweb-0.web.shop.svc.cluster.local\tweb-0\n"
        "\n"
        "# Entries added by HostAliases.\n"
        "192.0.2.7\ta.local\tb.local\n"
    )
    host = hosts_file(pod(hostNetwork=True), [], "cluster.local", "127.0.0.1 localhost\n")
    assert host == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n"
