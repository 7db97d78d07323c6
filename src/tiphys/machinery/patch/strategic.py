"""Strategic merge patch: a patch that looks like the object and knows which lists are sets of things with a key.

Maps merge key by key, null removes. A list whose schema says `merge` is merged by its merge key (or as a set, when it
holds plain values); any other list is replaced. Directives in the patch say more:

- `$patch: replace|delete|merge` in a map; in a member of a list: delete the member with this key, or replace the list;
- `$retainKeys: [...]` in a map: keys that are not named go;
- `$deleteFromPrimitiveList/<field>: [...]` beside a list of plain values: these go;
- `$setElementOrder/<field>: [...]` beside a list: the order of the members; members that only the server has keep their
  place among the others as far as that is possible.

Without an order, the members of the patch come in the order of the patch. What the schema does not know merges like
plain JSON: maps merge, lists are replaced. Specified in "Strategic merge patch" and the Kubernetes API conventions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tiphys.machinery.patch.errors import NESTED_TOO_DEEP, MalformedPatch, PatchTooLarge
from tiphys.machinery.patch.values import copied, type_name

PATCH = "$patch"
RETAIN_KEYS = "$retainKeys"
SET_ELEMENT_ORDER = "$setElementOrder/"
DELETE_FROM_PRIMITIVE_LIST = "$deleteFromPrimitiveList/"


class PatchSchema(Protocol):
    """What is known of the fields of one map."""

    def field(self, name: str) -> FieldSchema:
        """Of any field; one that is not known has no strategy and an element without schema."""
        ...


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """`strategy` is "merge", "replace" or "" (the default: maps merge, lists are replaced). `merge_key` names the
    members of a merged list of maps. `element` is about the field's map, or the maps in its list."""

    strategy: str
    merge_key: str
    element: PatchSchema


class _NoSchema:
    def field(self, name: str) -> FieldSchema:
        return _UNKNOWN_FIELD


NO_SCHEMA: PatchSchema = _NoSchema()
_UNKNOWN_FIELD = FieldSchema("", "", NO_SCHEMA)


def apply(document: Any, patch: Any, schema: PatchSchema) -> Any:
    """The patched document; neither argument is changed, and the result may share parts with both. MalformedPatch,
    PatchTooLarge."""
    original, changes = _expect_map(document, "the object"), _expect_map(patch, "the patch")
    try:
        return _merge_maps(original, changes, schema)
    except RecursionError:
        raise PatchTooLarge(NESTED_TOO_DEEP) from None


def _expect_map(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedPatch(f"expected {what} to be an object, but received {type_name(value)}")
    return value


def _expect_list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedPatch(f"expected {what} to be an array, but received {type_name(value)}")
    return value


# Maps.


def _merge_maps(original: dict[str, Any], patch: dict[str, Any], schema: PatchSchema) -> dict[str, Any]:
    directive = patch.get(PATCH)
    if directive is not None:
        if directive == "replace":
            return {key: copied(value) for key, value in patch.items() if key != PATCH}
        if directive == "delete":
            return {}
        if directive != "merge":
            raise _unknown_directive(directive, patch)
    merged = _retained(original, patch)
    ordered = _apply_orders(merged, patch, schema)
    for key, value in patch.items():
        if key.startswith(DELETE_FROM_PRIMITIVE_LIST):
            _delete_from_list(merged, key, value)
    for key, value in patch.items():
        if key in ordered or _is_directive(key):
            continue
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_field(merged.get(key), value, schema.field(key))
    return merged


def _is_directive(key: str) -> bool:
    return key in (PATCH, RETAIN_KEYS) or key.startswith((SET_ELEMENT_ORDER, DELETE_FROM_PRIMITIVE_LIST))


def _unknown_directive(directive: Any, patch: dict[str, Any]) -> MalformedPatch:
    return MalformedPatch(f"unknown patch type: {directive} in map: {patch}")


def _merge_field(original: Any, value: Any, field: FieldSchema) -> Any:
    """The new value of a field; `original` is None when there was none."""
    if isinstance(value, dict):
        if not isinstance(original, dict):
            return _merge_maps({}, value, field.element)
        if field.strategy == "replace":
            return _merge_maps({}, value, field.element)
        return _merge_maps(original, value, field.element)
    if isinstance(value, list):
        if field.strategy != "merge":
            return [_without_directives(member) for member in value if not _is_deletion(member)]
        return _merge_lists(original if isinstance(original, list) else [], value, field)
    return value


def _without_directives(member: Any) -> Any:
    return _merge_maps({}, member, NO_SCHEMA) if isinstance(member, dict) else copied(member)


def _is_deletion(member: Any) -> bool:
    return isinstance(member, dict) and member.get(PATCH) == "delete"


def _retained(original: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    if RETAIN_KEYS not in patch:
        return dict(original)
    retained = patch[RETAIN_KEYS]
    if not isinstance(retained, list):
        raise MalformedPatch("invalid patch format of retainKeys: it is a list of keys")
    for key, value in patch.items():
        if value is not None and key not in retained and not _is_directive(key):
            raise MalformedPatch(f"invalid patch format of retainKeys: {key} is in the patch, but not to be retained")
    return {key: value for key, value in original.items() if key in retained}


# Lists.


def _merge_lists(original: list[Any], patch: list[Any], field: FieldSchema) -> list[Any]:
    """Members of the patch in their order, those that only the server has in between."""
    merged, replaced = _merged_members(original, patch, field)
    if replaced:
        return merged
    order = [member for member in patch if not _is_deletion(member)]
    return _in_order(merged, order, original, _merge_key(merged, field))


def _merge_key(members: Sequence[Any], field: FieldSchema) -> str:
    return field.merge_key if any(isinstance(member, dict) for member in members) else ""


def _merged_members(original: list[Any], patch: list[Any], field: FieldSchema) -> tuple[list[Any], bool]:
    """What is in the list afterwards, those that are new at its end; and whether the list was replaced as a whole."""
    if not any(isinstance(member, dict) for member in (*original, *patch)):
        return _distinct([*original, *patch]), False
    for member in patch:
        _expect_map(member, "each member of a list that is merged")
    merge_key = field.merge_key
    if not merge_key:
        raise MalformedPatch("cannot merge lists of objects without a merge key")
    directives = [member[PATCH] for member in patch if PATCH in member]
    if "merge" in directives:
        raise MalformedPatch("merging lists cannot yet be specified in the patch")
    plain = [member for member in patch if PATCH not in member]
    for member in patch:
        if member.get(PATCH, "delete") not in ("delete", "replace"):
            raise _unknown_directive(member[PATCH], member)
    if "replace" in directives:
        return [_merge_maps({}, member, field.element) for member in plain], True
    gone = {_identity(_key_of(member, merge_key)) for member in patch if PATCH in member}
    merged = [member for member in original if _identity(_key_in(member, merge_key)) not in gone]
    positions = _places(merged, merge_key)
    for member in plain:
        position = positions.setdefault(_identity(_key_of(member, merge_key)), len(merged))
        if position == len(merged):
            merged.append(_merge_maps({}, member, field.element))
        else:
            merged[position] = _merge_maps(merged[position], member, field.element)
    return merged, False


def _key_of(member: dict[str, Any], merge_key: str) -> Any:
    if merge_key not in member:
        raise MalformedPatch(f"map: {member} does not contain declared merge key: {merge_key}")
    return member[merge_key]


_NO_KEY: Any = object()


def _key_in(member: Any, merge_key: str) -> Any:
    """A member of the original without a key is nobody's match."""
    if not merge_key:
        return member
    return member.get(merge_key, _NO_KEY) if isinstance(member, dict) else _NO_KEY


def _identity(value: Any) -> Any:
    """Something hashable that is the same for the same plain value, and keeps `true` and 1 apart."""
    if isinstance(value, (dict, list)):
        return repr(value)
    return isinstance(value, bool), value


def _places(members: Sequence[Any], merge_key: str) -> dict[Any, int]:
    """Where a member with each key comes first."""
    found: dict[Any, int] = {}
    for place, member in enumerate(members):
        found.setdefault(_identity(_key_in(member, merge_key)), place)
    return found


def _distinct(values: Sequence[Any]) -> list[Any]:
    return list({_identity(value): value for value in reversed(values)}.values())[::-1]


def _delete_from_list(merged: dict[str, Any], key: str, value: Any) -> None:
    field = key.removeprefix(DELETE_FROM_PRIMITIVE_LIST)
    if not field:
        raise MalformedPatch("invalid patch format of primitive list")
    gone = {_identity(member) for member in _expect_list(value, key)}
    if isinstance(merged.get(field), list):
        merged[field] = [member for member in merged[field] if _identity(member) not in gone]


# Order.


def _apply_orders(merged: dict[str, Any], patch: dict[str, Any], schema: PatchSchema) -> set[str]:
    """Merge and order the lists that the patch gives an order for; their fields."""
    done: set[str] = set()
    for key, value in patch.items():
        if not key.startswith(SET_ELEMENT_ORDER):
            continue
        name = key.removeprefix(SET_ELEMENT_ORDER)
        order = _expect_list(value, key)
        field = schema.field(name)
        if field.strategy != "merge":
            continue
        original = merged.get(name)
        if name not in patch and not isinstance(original, list):
            continue
        original = original if isinstance(original, list) else []
        members = _expect_list(patch.get(name, []), name)
        _check_order(members, order, field.merge_key, name)
        result, _ = _merged_members(original, members, field)
        merged[name] = _in_order(result, order, original, _merge_key([*result, *order], field))
        done.add(name)
    return done


def _check_order(members: list[Any], order: list[Any], merge_key: str, name: str) -> None:
    """Members of the patch must be named by the order, and come as it says."""
    places: dict[Any, int] = {}
    for place, member in enumerate(order):
        places.setdefault(_identity(_key_in(member, merge_key if isinstance(member, dict) else "")), place)
    last = -1
    for member in members:
        if isinstance(member, dict) and PATCH in member:
            continue
        identity = _identity(_key_in(member, merge_key if isinstance(member, dict) else ""))
        place = places.get(identity, -1)
        if place < last or place < 0:
            raise MalformedPatch(
                f"The order in patch list:\n{members}\n doesn't match {SET_ELEMENT_ORDER}{name} list:\n{order}\n"
            )
        last = place


def _in_order(merged: list[Any], order: Sequence[Any], original: Sequence[Any], merge_key: str) -> list[Any]:
    """Members that `order` names in its order; each other member is put before the first of those that follow it in the
    original, without changing the order of either kind."""
    wanted, live = _places(order, merge_key), _places(original, merge_key)
    named: list[tuple[int, Any]] = []
    others: list[tuple[int, Any]] = []
    for member in merged:
        identity = _identity(_key_in(member, merge_key))
        if identity in wanted:
            named.append((wanted[identity], member))
        else:
            others.append((live.get(identity, len(original)), member))
    named.sort(key=lambda entry: entry[0])
    others.sort(key=lambda entry: entry[0])
    result: list[Any] = []
    position = 0
    for _, member in named:
        place = live.get(_identity(_key_in(member, merge_key)))
        while place is not None and position < len(others) and others[position][0] < place:
            result.append(others[position][1])
            position += 1
        result.append(member)
    return result + [member for _, member in others[position:]]
