"""The cluster roles that every cluster has, apart from those of the controllers, and who is bound to them.

Names and rules are those that clients, charts and operators count on. See `policy_text.py` for the notation.
"""

from __future__ import annotations

from collections.abc import Mapping

EVENTS = "create,update,patch core,events.k8s.io events"
ACCESS_REVIEWS = """
create authentication.k8s.io tokenreviews
create authorization.k8s.io subjectaccessreviews
"""
PUBLIC_PATHS = "/healthz,/livez,/readyz,/version,/version/"

NODE = """
create authentication.k8s.io tokenreviews
create authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews
READ core services
create,get,list,watch core nodes
patch,update core nodes/status
patch,update core nodes
create,patch,update core,events.k8s.io events
READ core pods
create,delete core pods
patch,update core pods/status
create core pods/eviction
READ core configmaps,secrets
get core persistentvolumeclaims,persistentvolumes
get core endpoints
create,get,list,watch certificates.k8s.io certificatesigningrequests
create,delete,get,patch,update coordination.k8s.io leases
get storage.k8s.io volumeattachments
get,patch,update core persistentvolumeclaims/status
create core serviceaccounts/token
READ storage.k8s.io csidrivers
create,delete,get,patch,update storage.k8s.io csinodes
READ node.k8s.io runtimeclasses
get resource.k8s.io resourceclaims
deletecollection,READ,create,update,patch,delete resource.k8s.io resourceslices
READ certificates.k8s.io clustertrustbundles
create,READ certificates.k8s.io podcertificaterequests
"""

AGGREGATE_TO_ADMIN = """
create authorization.k8s.io localsubjectaccessreviews
ALL rbac.authorization.k8s.io rolebindings,roles
"""

AGGREGATE_TO_EDIT = """
READ core pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy
impersonate core serviceaccounts
WRITE core pods,pods/attach,pods/exec,pods/portforward,pods/proxy
create core pods/eviction
WRITE core configmaps,events,persistentvolumeclaims,secrets,serviceaccounts,services,services/proxy
WRITE core replicationcontrollers,replicationcontrollers/scale
create core serviceaccounts/token
WRITE apps daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale
WRITE apps statefulsets,statefulsets/scale
WRITE autoscaling horizontalpodautoscalers
WRITE batch cronjobs,jobs
WRITE extensions daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies
WRITE extensions replicasets,replicasets/scale,replicationcontrollers/scale
WRITE policy poddisruptionbudgets
WRITE networking.k8s.io ingresses,networkpolicies
ALL coordination.k8s.io leases
WRITE resource.k8s.io resourceclaims,resourceclaimtemplates
"""

AGGREGATE_TO_VIEW = """
READ core configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,serviceaccounts
READ core replicationcontrollers,replicationcontrollers/scale,services,services/status
READ core bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status
READ core resourcequotas,resourcequotas/status
READ core namespaces
READ discovery.k8s.io endpointslices
READ apps controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status
READ apps replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status
READ autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status
READ batch cronjobs,cronjobs/status,jobs,jobs/status
READ extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses
READ extensions ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status
READ extensions replicationcontrollers/scale
READ policy poddisruptionbudgets,poddisruptionbudgets/status
READ networking.k8s.io ingresses,ingresses/status,networkpolicies
READ resource.k8s.io resourceclaims,resourceclaims/status,resourceclaimtemplates
"""

CONTROLLER_MANAGER = f"""
{EVENTS}
create coordination.k8s.io leases
get,update coordination.k8s.io leases =kube-controller-manager
create core secrets,serviceaccounts
delete core secrets
get core configmaps,namespaces,secrets,serviceaccounts
update core secrets,serviceaccounts
{ACCESS_REVIEWS}
list,watch * *
create core serviceaccounts/token
"""

SCHEDULER = f"""
{EVENTS}
create coordination.k8s.io leases
get,list,update,watch coordination.k8s.io leases =kube-scheduler
create,delete,deletecollection,READ,patch,update coordination.k8s.io leasecandidates
READ core nodes
delete,get,list,watch core pods
create core bindings,pods/binding
patch,update core pods/status
READ core replicationcontrollers,services
READ apps,extensions replicasets
READ apps statefulsets
READ policy poddisruptionbudgets
READ core persistentvolumeclaims,persistentvolumes
{ACCESS_REVIEWS}
READ storage.k8s.io csinodes,volumeattachments
READ core namespaces
READ storage.k8s.io csidrivers,csistoragecapacities
READ resource.k8s.io deviceclasses,devicetaintrules,resourceclaims,resourceslices
patch,update resource.k8s.io resourceclaims,resourceclaims/binding,resourceclaims/status
READ scheduling.k8s.io podgroups,workloads
patch,update scheduling.k8s.io podgroups/status
"""

SIGNERS = {
    "kube-apiserver-client": "kubernetes.io/kube-apiserver-client",
    "kube-apiserver-client-kubelet": "kubernetes.io/kube-apiserver-client-kubelet",
    "kubelet-serving": "kubernetes.io/kubelet-serving",
    "legacy-unknown": "kubernetes.io/legacy-unknown",
}

RULES: Mapping[str, str] = {
    "cluster-admin": "* * *\n* urls *",
    "system:discovery": f"get urls {PUBLIC_PATHS},/api,/api/*,/apis,/apis/*,/openapi,/openapi/*",
    "system:monitoring": "get urls /healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*",
    "system:basic-user": """
        create authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews
        create authentication.k8s.io selfsubjectreviews
    """,
    "system:public-info-viewer": f"get urls {PUBLIC_PATHS}",
    "system:aggregate-to-admin": AGGREGATE_TO_ADMIN,
    "system:aggregate-to-edit": AGGREGATE_TO_EDIT,
    "system:aggregate-to-view": AGGREGATE_TO_VIEW,
    "system:heapster": "READ core events,namespaces,nodes,pods\nREAD extensions deployments",
    "system:node": NODE,
    "system:node-problem-detector": f"get core nodes\npatch core nodes/status\n{EVENTS}",
    "system:kubelet-api-admin": """
        READ core nodes
        proxy core nodes
        * core nodes/configz,nodes/healthz,nodes/log,nodes/metrics,nodes/pods,nodes/proxy,nodes/stats
    """,
    "system:node-bootstrapper": "create,READ certificates.k8s.io certificatesigningrequests",
    "system:auth-delegator": ACCESS_REVIEWS,
    "system:kube-aggregator": "READ core endpoints,services",
    "system:kube-controller-manager": CONTROLLER_MANAGER,
    "system:kube-scheduler": SCHEDULER,
    "system:kube-dns": "list,watch core endpoints,services",
    "system:coredns": """
        list,watch core endpoints,namespaces,pods,services
        READ core nodes
        list,watch discovery.k8s.io endpointslices
    """,
    "system:node-proxier": f"""
        list,watch core endpoints,services
        READ core nodes
        {EVENTS}
        list,watch discovery.k8s.io endpointslices
        list,watch networking.k8s.io servicecidrs
    """,
    "system:persistent-volume-provisioner": f"""
        create,delete,READ core persistentvolumes
        READ,update core persistentvolumeclaims
        READ storage.k8s.io storageclasses
        watch core events
        {EVENTS}
    """,
    "system:volume-scheduler": """
        READ,patch,update core persistentvolumes
        READ storage.k8s.io storageclasses
        READ,patch,update core persistentvolumeclaims
    """,
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": (
        "create certificates.k8s.io certificatesigningrequests/nodeclient"
    ),
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": (
        "create certificates.k8s.io certificatesigningrequests/selfnodeclient"
    ),
    "system:service-account-issuer-discovery": "get urls /.well-known/openid-configuration,/openid/v1/jwks",
    **{
        f"system:certificates.k8s.io:{word}-approver": f"approve certificates.k8s.io signers ={signer}"
        for word, signer in SIGNERS.items()
    },
}

AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"

# An aggregated role and the label that gathers its parts.
AGGREGATED: Mapping[str, str] = {"admin": "admin", "edit": "edit", "view": "view"}

# Which roles are parts of which aggregated ones.
PARTS: Mapping[str, str] = {
    "edit": "admin",
    "view": "edit",
    "system:aggregate-to-admin": "admin",
    "system:aggregate-to-edit": "edit",
    "system:aggregate-to-view": "view",
}

# Subjects: a group, `user:NAME`, or `account:NAMESPACE/NAME`. The binding has the name of its role.
BINDINGS: Mapping[str, tuple[str, ...]] = {
    "cluster-admin": ("system:masters",),
    "system:monitoring": ("system:monitoring",),
    "system:discovery": ("system:authenticated",),
    "system:basic-user": ("system:authenticated",),
    "system:public-info-viewer": ("system:authenticated", "system:unauthenticated"),
    "system:node-proxier": ("user:system:kube-proxy",),
    "system:kube-controller-manager": ("user:system:kube-controller-manager",),
    "system:kube-dns": ("account:kube-system/kube-dns",),
    "system:coredns": ("account:kube-system/coredns",),
    "system:kube-scheduler": ("user:system:kube-scheduler",),
    "system:volume-scheduler": ("user:system:kube-scheduler",),
    "system:node": (),  # the Node authorizer stands in; the binding stays, empty, as clients expect it
    "system:service-account-issuer-discovery": ("system:serviceaccounts",),
}

_LOCK = "watch core configmaps\nget,update core configmaps ="

# By namespace and name.
NAMESPACED_ROLES: Mapping[tuple[str, str], str] = {
    ("kube-system", "extension-apiserver-authentication-reader"): (
        "READ core configmaps =extension-apiserver-authentication"
    ),
    ("kube-system", "system:controller:bootstrap-signer"): "READ core secrets",
    ("kube-system", "system:controller:cloud-provider"): "create,READ core configmaps",
    ("kube-system", "system:controller:token-cleaner"): f"READ,delete core secrets\n{EVENTS}",
    ("kube-system", "system::leader-locking-kube-controller-manager"): f"{_LOCK}kube-controller-manager",
    ("kube-system", "system::leader-locking-kube-scheduler"): f"{_LOCK}kube-scheduler",
    # The servers of cluster DNS say themselves where they are.
    ("kube-system", "system:coredns-endpoints"): "create,delete,READ,patch,update discovery.k8s.io endpointslices",
    ("kube-public", "system:controller:bootstrap-signer"): (
        f"READ core configmaps\nupdate core configmaps =cluster-info\n{EVENTS}"
    ),
}

# By namespace and name: the role, and its subjects.
NAMESPACED_BINDINGS: Mapping[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("kube-system", "system::extension-apiserver-authentication-reader"): (
        "extension-apiserver-authentication-reader",
        ("user:system:kube-controller-manager", "user:system:kube-scheduler"),
    ),
    ("kube-system", "system::leader-locking-kube-controller-manager"): (
        "system::leader-locking-kube-controller-manager",
        ("user:system:kube-controller-manager", "account:kube-system/kube-controller-manager"),
    ),
    ("kube-system", "system::leader-locking-kube-scheduler"): (
        "system::leader-locking-kube-scheduler",
        ("user:system:kube-scheduler", "account:kube-system/kube-scheduler"),
    ),
    ("kube-system", "system:controller:bootstrap-signer"): (
        "system:controller:bootstrap-signer",
        ("account:kube-system/bootstrap-signer",),
    ),
    ("kube-system", "system:controller:cloud-provider"): (
        "system:controller:cloud-provider",
        ("account:kube-system/cloud-provider",),
    ),
    ("kube-system", "system:controller:token-cleaner"): (
        "system:controller:token-cleaner",
        ("account:kube-system/token-cleaner",),
    ),
    ("kube-system", "system:coredns-endpoints"): ("system:coredns-endpoints", ("account:kube-system/coredns",)),
    ("kube-public", "system:controller:bootstrap-signer"): (
        "system:controller:bootstrap-signer",
        ("account:kube-system/bootstrap-signer",),
    ),
}
