from __future__ import annotations

import pathlib

from tiphys.launch.api_server import api_server_config
from tiphys.launch.cluster import Cluster, Layout

STATE = pathlib.Path("/var/lib/tiphys")


def test_the_server_listens_on_the_loopback_and_on_the_nodes_network_alone() -> None:
    config = api_server_config(Cluster(number=2, nodes=1, api_port=6445), Layout(STATE), (b"ca", b"front"))
    assert config.addresses == (("127.0.0.1", 6445), ("10.201.2.1", 6445))
    assert config.bootstrap is not None
    assert config.bootstrap.addresses == ("10.201.2.1",)
    assert (config.service_cidrs, config.bootstrap.dns_address) == (("10.98.0.0/16",), "10.98.0.10")
    assert config.authn is not None
    assert config.authn.token_file is None


def test_a_file_of_static_tokens_reaches_authentication() -> None:
    cluster = Cluster(number=0, nodes=1, api_port=6443, token_file="/etc/tokens.csv")
    config = api_server_config(cluster, Layout(STATE), (b"", b""))
    assert config.authn is not None
    assert config.authn.token_file == pathlib.Path("/etc/tokens.csv")
