"""The table of all declarative controllers. (Garbage collection has a graph of its own: `garbage/`.)"""

from __future__ import annotations

from tiphys.controllers import (
    certificate_signing,
    cluster_role_aggregation,
    daemonset,
    disruption,
    endpoints,
    endpointslice,
    endpointslice_mirroring,
    flow_schemas,
    namespace,
    node_ipam,
    pod_garbage,
    replicaset,
    replicationcontroller,
    resourcequota,
    root_ca,
    service_account_tokens,
    service_addresses,
    service_cidrs,
    serviceaccount,
    storage_version_migration,
    ttl_after_finished,
)
from tiphys.controllers.config import ControllersConfig
from tiphys.controllers.controller import Controller
from tiphys.controllers.cronjob import controller as cronjob
from tiphys.controllers.deployment import controller as deployment
from tiphys.controllers.job import controller as job
from tiphys.controllers.node_lifecycle import controller as node_lifecycle
from tiphys.controllers.node_lifecycle import eviction
from tiphys.controllers.persistent_volume import binder, protection
from tiphys.controllers.statefulset import controller as statefulset


def controllers(config: ControllersConfig) -> tuple[Controller, ...]:
    """Every controller that the configuration enables, ready to run."""
    table = [
        namespace.CONTROLLER,
        serviceaccount.CONTROLLER,
        root_ca.controller(config.root_ca_pem),
        deployment.CONTROLLER,
        replicaset.CONTROLLER,
        replicationcontroller.CONTROLLER,
        job.CONTROLLER,
        cronjob.CONTROLLER,
        daemonset.CONTROLLER,
        statefulset.CONTROLLER,
        disruption.CONTROLLER,
        ttl_after_finished.CONTROLLER,
        resourcequota.CONTROLLER,
        binder.CONTROLLER,
        protection.CLAIMS,
        protection.VOLUMES,
        certificate_signing.APPROVER,
        cluster_role_aggregation.CONTROLLER,
        endpoints.CONTROLLER,
        endpointslice.controller(config.max_endpoints_per_slice),
        endpointslice_mirroring.CONTROLLER,
        flow_schemas.CONTROLLER,
        service_addresses.CONTROLLER,
        service_cidrs.CONTROLLER,
        node_lifecycle.controller(config),
        eviction.controller(),
        pod_garbage.controller(config.terminated_pod_threshold),
        storage_version_migration.CONTROLLER,
    ]
    if config.allocate_node_cidrs and config.cluster_cidrs:
        table.append(node_ipam.controller(config.cluster_cidrs, dict(config.node_cidr_mask_sizes)))
    if config.token_of is not None:
        table.append(service_account_tokens.controller(config.token_of, config.root_ca_pem))
    if config.authority is not None:
        table.append(certificate_signing.signer(config.authority))
    return tuple(controller for controller in table if config.enables(controller.name))
