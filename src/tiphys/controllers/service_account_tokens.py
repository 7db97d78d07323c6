"""Secrets of type `kubernetes.io/service-account-token` hold a token of the account that they name, the cluster's CA
and their namespace; they go when the account goes.

The account is asked for, not looked up: a secret is only deleted when the API itself says that its account is gone.
Specified in "Managing Service Accounts", manually created tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tiphys.client.cache import key_of
from tiphys.client.interface import ApiRequest, ObjectKey
from tiphys.controllers.actions import Action, Answer, Ask, Update, delete_of
from tiphys.controllers.controller import Controller, Index, View, Watch, own_key
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1

TYPE = "kubernetes.io/service-account-token"
NAME = "kubernetes.io/service-account.name"
UID = "kubernetes.io/service-account.uid"
TokenOf = Callable[[core_v1.ServiceAccount, core_v1.Secret], str]


def account_name(secret: core_v1.Secret) -> str:
    return (secret.metadata.annotations or {}).get(NAME, "")


def controller(token_of: TokenOf, root_ca_pem: str) -> Controller:
    """`token_of(account, secret)` signs the token for a secret."""

    def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
        secret = view.get(core_v1.Secret, key.namespace, key.name)
        if secret is None or secret.metadata.deletionTimestamp is not None:
            return []
        name = account_name(secret)
        known = view.get(core_v1.ServiceAccount, key.namespace, name)
        if known is not None and _complete(secret, known, root_ca_pem):
            return []
        request = ApiRequest(
            verb="get", group="", version="v1", resource="serviceaccounts", namespace=key.namespace, name=name
        )
        return [Ask(requests=(request,))]

    def answered(view: View, key: ObjectKey, now: float, answers: Sequence[Answer], memo: Any) -> list[Action]:
        secret = view.get(core_v1.Secret, key.namespace, key.name)
        if secret is None:
            return []
        error, account = answers[0].error, answers[0].result
        if error is not None and error.code != 404:
            raise error
        wanted_uid = (secret.metadata.annotations or {}).get(UID)
        if account is None or (wanted_uid and wanted_uid != account.metadata.uid):
            return [delete_of(secret)]
        if _complete(secret, account, root_ca_pem):
            return []
        changed = codec.copy(secret)
        changed.metadata.annotations = {**(secret.metadata.annotations or {}), UID: account.metadata.uid or ""}
        data = {**(secret.data or {}), **_fixed(secret, root_ca_pem)}
        if not data.get("token"):
            data["token"] = token_of(account, secret).encode()
        changed.data = data
        return [Update(object=changed)]

    return Controller(
        name="serviceaccount-token",
        identity="system:kube-controller-manager",
        source="serviceaccount-token-controller",
        reconcile=reconcile,
        answered=answered,
        watches=(
            Watch(kind=core_v1.Secret, keys=own_key),
            Watch(kind=core_v1.ServiceAccount, keys=_secrets_of),
        ),
        indexes=(Index(kind=core_v1.Secret, name="account", function=_accounts),),
        field_selectors={core_v1.Secret: f"type={TYPE}"},
    )


def _fixed(secret: core_v1.Secret, root_ca_pem: str) -> dict[str, bytes]:
    authority = {"ca.crt": root_ca_pem.encode()} if root_ca_pem else {}
    return {**authority, "namespace": (secret.metadata.namespace or "").encode()}


def _complete(secret: core_v1.Secret, account: core_v1.ServiceAccount, root_ca_pem: str) -> bool:
    data = secret.data or {}
    uid = (secret.metadata.annotations or {}).get(UID)
    return (
        bool(data.get("token")) and uid == account.metadata.uid and _fixed(secret, root_ca_pem).items() <= data.items()
    )


def _accounts(secret: core_v1.Secret) -> tuple[ObjectKey, ...]:
    return (ObjectKey(secret.metadata.namespace or "", account_name(secret)),)


def _secrets_of(view: View, old: Any, new: Any) -> Iterable[ObjectKey]:
    return [
        key_of(secret) for secret in view.by_index(core_v1.Secret, "account", key_of(new if new is not None else old))
    ]
