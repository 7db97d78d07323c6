"""What each controller may do: the rules of `system:controller:NAME`, which is bound to the service account NAME in
kube-system.

See `policy_text.py` for the notation. A controller that writes events has the events rule in its own text.
"""

from __future__ import annotations

from collections.abc import Mapping

from tiphys.apiserver.bootstrap.cluster_roles import EVENTS, SIGNERS

PREFIX = "system:controller:"

_ALL_SIGNERS = ",".join(sorted(SIGNERS.values()))

RULES: Mapping[str, str] = {
    "attachdetach-controller": f"""
        list,watch core persistentvolumeclaims,persistentvolumes
        READ core nodes
        patch,update core nodes/status
        list,watch core pods
        {EVENTS}
        create,delete,get,list,watch storage.k8s.io volumeattachments
        READ storage.k8s.io csidrivers
        READ storage.k8s.io csinodes
    """,
    "clusterrole-aggregation-controller": "escalate,READ,patch,update rbac.authorization.k8s.io clusterroles",
    "cronjob-controller": f"""
        READ,update batch cronjobs
        create,delete,READ,patch,update batch jobs
        update batch cronjobs/status
        update batch cronjobs/finalizers
        delete,list,watch core pods
        {EVENTS}
    """,
    "daemon-set-controller": f"""
        READ apps,extensions daemonsets
        update apps,extensions daemonsets/status
        update apps,extensions daemonsets/finalizers
        list,watch core nodes
        create,delete,list,patch,watch core pods
        create core pods/binding
        create,delete,READ,patch,update apps controllerrevisions
        {EVENTS}
    """,
    "deployment-controller": f"""
        READ,update apps,extensions deployments
        update apps,extensions deployments/status
        update apps,extensions deployments/finalizers
        create,delete,READ,patch,update apps,extensions replicasets
        READ,update core pods
        {EVENTS}
    """,
    "disruption-controller": f"""
        READ apps,extensions deployments
        READ apps,extensions replicasets
        READ core replicationcontrollers
        READ policy poddisruptionbudgets
        READ apps statefulsets
        update policy poddisruptionbudgets/status
        patch,update core pods/status
        get * */scale
        {EVENTS}
    """,
    "endpoint-controller": f"""
        READ core pods,services
        create,delete,READ,update core endpoints
        create core endpoints/restricted
        {EVENTS}
    """,
    "endpointslice-controller": f"""
        READ core nodes,pods,services
        update core services/finalizers
        create,delete,READ,update discovery.k8s.io endpointslices
        {EVENTS}
    """,
    "endpointslicemirroring-controller": f"""
        READ core endpoints,services
        update core services/finalizers
        update core endpoints/finalizers
        create,delete,READ,update discovery.k8s.io endpointslices
        {EVENTS}
    """,
    "expand-controller": f"""
        READ,patch,update core persistentvolumes
        patch,update core persistentvolumeclaims/status
        READ core persistentvolumeclaims
        {EVENTS}
        get core services
    """,
    "ephemeral-volume-controller": f"""
        READ core pods
        update core pods/finalizers
        create,READ core persistentvolumeclaims
        {EVENTS}
    """,
    "resource-claim-controller": f"""
        READ core pods
        update core pods/finalizers
        READ resource.k8s.io resourceclaimtemplates
        create,delete,READ resource.k8s.io resourceclaims
        patch,update resource.k8s.io resourceclaims,resourceclaims/binding,resourceclaims/status
        patch,update core pods/status
        {EVENTS}
    """,
    "device-taint-eviction-controller": f"""
        delete,READ core pods
        patch,update core pods/status
        READ resource.k8s.io resourceclaims
        READ resource.k8s.io resourceslices
        READ resource.k8s.io deviceclasses
        READ resource.k8s.io devicetaintrules
        patch,update resource.k8s.io devicetaintrules/status
        {EVENTS}
    """,
    # What the API server of others tells by itself.
    "flow-schemas-controller": """
        list,watch flowcontrol.apiserver.k8s.io flowschemas,prioritylevelconfigurations
        update flowcontrol.apiserver.k8s.io flowschemas/status
    """,
    "generic-garbage-collector": f"delete,READ,patch,update * *\n{EVENTS}",
    "horizontal-pod-autoscaler": f"""
        READ autoscaling horizontalpodautoscalers
        update autoscaling horizontalpodautoscalers/status
        get,update * */scale
        list,watch core pods
        list,watch metrics.k8s.io pods
        READ custom.metrics.k8s.io *
        READ external.metrics.k8s.io *
        {EVENTS}
    """,
    "job-controller": f"""
        READ,patch,update batch jobs
        update batch jobs/status
        update batch jobs/finalizers
        create,delete,list,patch,watch core pods
        {EVENTS}
    """,
    "namespace-controller": """
        delete,READ core namespaces
        update core namespaces/finalize,namespaces/status
        delete,deletecollection,READ * *
    """,
    "node-controller": f"""
        delete,READ,patch,update core nodes
        patch,update core nodes/status
        patch,update core pods/status
        delete,READ core pods
        READ coordination.k8s.io leases
        {EVENTS}
    """,
    "persistent-volume-binder": f"""
        create,delete,READ,update core persistentvolumes
        update core persistentvolumes/status
        READ,update core persistentvolumeclaims
        update core persistentvolumeclaims/status
        create,delete,READ core pods
        READ storage.k8s.io storageclasses
        list,watch core nodes
        {EVENTS}
        watch core events
        get core services
    """,
    "pod-garbage-collector": """
        delete,list,watch core pods
        READ core nodes
        patch core pods/status
    """,
    "replicaset-controller": f"""
        READ,update apps,extensions replicasets
        update apps,extensions replicasets/status
        update apps,extensions replicasets/finalizers
        create,delete,list,patch,watch core pods
        {EVENTS}
    """,
    "replication-controller": f"""
        READ,update core replicationcontrollers
        update core replicationcontrollers/status
        update core replicationcontrollers/finalizers
        create,delete,list,patch,watch core pods
        {EVENTS}
    """,
    "resourcequota-controller": f"list,watch * *\nupdate core resourcequotas/status\n{EVENTS}",
    "route-controller": f"list,watch core nodes\npatch core nodes/status\n{EVENTS}",
    "service-account-controller": f"create core serviceaccounts\n{EVENTS}",
    # What the API server of others writes down by itself.
    "service-addresses-controller": """
        list,watch core services
        create,delete,READ networking.k8s.io ipaddresses
    """,
    "service-controller": f"""
        READ core services
        patch,update core services/status
        list,watch core nodes
        {EVENTS}
    """,
    "service-cidrs-controller": f"""
        READ,patch,update networking.k8s.io servicecidrs
        patch,update networking.k8s.io servicecidrs/finalizers
        patch,update networking.k8s.io servicecidrs/status
        READ networking.k8s.io ipaddresses
        {EVENTS}
    """,
    "statefulset-controller": f"""
        list,watch core pods
        READ apps statefulsets
        update apps statefulsets/status
        update apps statefulsets/finalizers
        create,delete,get,patch,update core pods
        create,delete,READ,patch,update apps controllerrevisions
        create,READ core persistentvolumeclaims
        delete,update core persistentvolumeclaims
        update core pods/finalizers
        {EVENTS}
    """,
    "ttl-controller": f"list,patch,update,watch core nodes\n{EVENTS}",
    "certificate-controller": f"""
        delete,READ certificates.k8s.io certificatesigningrequests
        update certificates.k8s.io certificatesigningrequests/approval,certificatesigningrequests/status
        approve certificates.k8s.io signers =kubernetes.io/kube-apiserver-client-kubelet
        sign certificates.k8s.io signers ={_ALL_SIGNERS}
        create authorization.k8s.io subjectaccessreviews
        {EVENTS}
    """,
    "podcertificaterequestcleaner": "delete,READ certificates.k8s.io podcertificaterequests",
    "pvc-protection-controller": f"READ,update core persistentvolumeclaims\nREAD core pods\n{EVENTS}",
    "pv-protection-controller": f"READ,update core persistentvolumes\n{EVENTS}",
    "volumeattributesclass-protection-controller": f"""
        READ core persistentvolumeclaims
        READ core persistentvolumes
        READ,update storage.k8s.io volumeattributesclasses
        {EVENTS}
    """,
    "ttl-after-finished-controller": f"delete,READ batch jobs\n{EVENTS}",
    "root-ca-cert-publisher": f"create,update core configmaps\n{EVENTS}",
    "kube-apiserver-serving-clustertrustbundle-publisher": f"""
        attest certificates.k8s.io signers =kubernetes.io/kube-apiserver-serving
        create,delete,list,update,watch certificates.k8s.io clustertrustbundles
        {EVENTS}
    """,
    "validatingadmissionpolicy-status-controller": f"""
        READ admissionregistration.k8s.io validatingadmissionpolicies
        get,patch,update admissionregistration.k8s.io validatingadmissionpolicies/status
        {EVENTS}
    """,
    "storage-version-garbage-collector": """
        READ coordination.k8s.io leases
        delete,READ,patch,update internal.apiserver.k8s.io storageversions
        get,patch,update internal.apiserver.k8s.io storageversions/status
    """,
    "legacy-service-account-token-cleaner": """
        get core configmaps =kube-apiserver-legacy-service-account-token-tracking
        delete,patch core secrets
    """,
    "storage-version-migrator-controller": """
        create,list,patch,watch * *
        update storagemigration.k8s.io storageversionmigrations/status
    """,
    "selinux-warning-controller": f"""
        {EVENTS}
        READ core persistentvolumes
        READ core persistentvolumeclaims
        READ core pods
        READ storage.k8s.io csidrivers
    """,
}
