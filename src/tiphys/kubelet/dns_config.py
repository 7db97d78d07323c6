"""What a pod's /etc/hosts and /etc/resolv.conf say. Specified in "DNS for Services and Pods"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiphys.kinds.types import core_v1

MAXIMUM_SERVERS = 3
MAXIMUM_SEARCHES = 32
CLUSTER_OPTIONS = ("ndots:5",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsConfig:
    """The three lines of a resolv.conf. `warning` says what was left out, "" for nothing."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    warning: str = ""


def parse_resolv_conf(text: str) -> DnsConfig:
    """The machine's own resolver configuration."""
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = words[1:]
        elif words[0] == "options":
            options = words[1:]
    return DnsConfig(servers=tuple(servers), searches=tuple(searches), options=tuple(options))


def dns_config(pod: core_v1.Pod, cluster_dns: Sequence[str], cluster_domain: str, host: DnsConfig) -> DnsConfig:
    """The resolver configuration of a pod by its dnsPolicy and dnsConfig; `host` is the node's own."""
    policy = pod.spec.dnsPolicy or "ClusterFirst"
    if policy == "ClusterFirst" and pod.spec.hostNetwork:
        policy = "Default"
    if policy == "None":
        base = DnsConfig()
    elif policy == "Default" or not cluster_dns:
        base = host
    else:
        namespace = pod.metadata.namespace or "default"
        own = (f"{namespace}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain)
        base = DnsConfig(servers=tuple(cluster_dns), searches=own + host.searches, options=CLUSTER_OPTIONS)
    return _limited(_merged(base, pod.spec.dnsConfig))


def _merged(base: DnsConfig, extra: core_v1.PodDNSConfig | None) -> DnsConfig:
    if extra is None:
        return base
    options = {word.partition(":")[0]: word for word in base.options}
    for option in extra.options or ():
        if option.name:
            options[option.name] = f"{option.name}:{option.value}" if option.value else option.name
    return DnsConfig(
        servers=tuple(dict.fromkeys((*base.servers, *(extra.nameservers or ())))),
        searches=tuple(dict.fromkeys((*base.searches, *(extra.searches or ())))),
        options=tuple(options.values()),
    )


def _limited(config: DnsConfig) -> DnsConfig:
    """Resolvers read three servers only, and a bounded list of domains."""
    warning = ""
    if len(config.servers) > MAXIMUM_SERVERS:
        used = " ".join(config.servers[:MAXIMUM_SERVERS])
        warning = "Nameserver limits were exceeded, some nameservers have been omitted, "
        warning += f"the applied nameserver line is: {used}"
    elif len(config.searches) > MAXIMUM_SEARCHES:
        used = " ".join(config.searches[:MAXIMUM_SEARCHES])
        warning = "Search Line limits were exceeded, some search paths have been omitted, "
        warning += f"the applied search line is: {used}"
    return DnsConfig(
        servers=config.servers[:MAXIMUM_SERVERS],
        searches=config.searches[:MAXIMUM_SEARCHES],
        options=config.options,
        warning=warning,
    )


def pod_hostname(pod: core_v1.Pod, cluster_domain: str) -> tuple[str, str]:
    """The pod's short host name and its fully qualified one ("" without a subdomain)."""
    if pod.spec.hostnameOverride:
        return pod.spec.hostnameOverride, ""
    short = pod.spec.hostname or (pod.metadata.name or "")
    short = short[:63].rstrip("-.")
    if not pod.spec.subdomain:
        return short, ""
    return short, f"{short}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}"


def hosts_file(pod: core_v1.Pod, addresses: Sequence[str], cluster_domain: str, host_hosts: str) -> str:
    """/etc/hosts of a pod. On the host's network it begins with the node's own file (`host_hosts`)."""
    if pod.spec.hostNetwork:
        lines = ["# Kubernetes-managed hosts file (host network).", *host_hosts.splitlines()]
    else:
        short, full = pod_hostname(pod, cluster_domain)
        names = f"{full}\t{short}" if full else short
        lines = [
            "# Kubernetes-managed hosts file.",
            "127.0.0.1\tlocalhost",
            "::1\tlocalhost ip6-localhost ip6-loopback",
            "fe00::0\tip6-localnet",
            "fe00::0\tip6-mcastprefix",
            "fe00::1\tip6-allnodes",
            "fe00::2\tip6-allrouters",
            *(f"{address}\t{names}" for address in addresses),
        ]
    aliases = pod.spec.hostAliases or ()
    if aliases:
        lines += ["", "# Entries added by HostAliases."]
        lines += [f"{alias.ip}\t" + "\t".join(alias.hostnames or ()) for alias in aliases]
    return "\n".join(lines) + "\n"
