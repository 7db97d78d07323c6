"""Every pod runs as a service account of its namespace and gets a token of it, unless it declines.

The token, the cluster's CA and the namespace's name come as one projected volume, mounted into every container that
does not mount something there itself. Specified in "Managing Service Accounts" and "Configure Service Accounts for
Pods".
"""

from __future__ import annotations

from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.kinds.core.account_volume import account_volume
from tiphys.kinds.types import core_v1
from tiphys.machinery import errors

DEFAULT_ACCOUNT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


class ServiceAccounts:
    name = "ServiceAccount"
    resources: Resources = (("", "pods"),)

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        if request.operation != "CREATE" or not request.on("", "pods"):
            return
        pod: core_v1.Pod = obj
        if MIRROR_ANNOTATION in (pod.metadata.annotations or {}):
            self._check_mirror(pod)
            return
        spec = pod.spec
        if not spec.serviceAccountName:
            spec.serviceAccountName = spec.serviceAccount or DEFAULT_ACCOUNT
        spec.serviceAccount = spec.serviceAccountName
        account = lookups.get(core_v1.ServiceAccount, request.namespace, spec.serviceAccountName)
        if account is None:
            name = f"{request.namespace}/{spec.serviceAccountName}"
            detail = f'error looking up service account {name}: serviceaccount "{spec.serviceAccountName}" not found'
            raise errors.forbidden("pods", "", pod.metadata.name or "", detail)
        if self._automounts(account, pod):
            self._mount(request, pod)
        if not spec.imagePullSecrets and account.imagePullSecrets:
            spec.imagePullSecrets = list(account.imagePullSecrets)

    def _check_mirror(self, pod: core_v1.Pod) -> None:
        name = pod.metadata.name or ""
        if pod.spec.serviceAccountName:
            raise errors.forbidden("pods", "", name, "a mirror pod may not reference service accounts")
        for volume in pod.spec.volumes or ():
            if volume.secret is not None:
                raise errors.forbidden("pods", "", name, "a mirror pod may not reference secrets")

    def _automounts(self, account: core_v1.ServiceAccount, pod: core_v1.Pod) -> bool:
        if pod.spec.automountServiceAccountToken is not None:
            return pod.spec.automountServiceAccountToken
        return account.automountServiceAccountToken is not False

    def _mount(self, request: AdmissionRequest, pod: core_v1.Pod) -> None:
        volumes = list(pod.spec.volumes or ())
        name, there = "", False
        for volume in volumes:
            if volume.name.startswith(VOLUME_PREFIX):
                name, there = volume.name, True
                break
        name = name or VOLUME_PREFIX + request.new_suffix()
        used = False
        for container in [*(pod.spec.initContainers or ()), *pod.spec.containers]:
            mounts = list(container.volumeMounts or ())
            if any(mount.mountPath == MOUNT_PATH for mount in mounts):
                continue
            mounts.append(core_v1.VolumeMount(name=name, readOnly=True, mountPath=MOUNT_PATH))
            container.volumeMounts = mounts
            used = True
        if used and not there:
            volumes.append(account_volume(name))
            pod.spec.volumes = volumes
