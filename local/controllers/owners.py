"""Owner references: who manages an object (metav1.OwnerReference)."""

from local.kinds import Object


def reference(owner: Object) -> Object:
    """Return the reference that makes `owner` the controller of another object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(obj: Object) -> Object | None:
    """Return the owner reference of the object's controller, or None."""
    for ref in obj["metadata"].get("ownerReferences") or []:
        if ref.get("controller"):
            return dict(ref)
    return None


def is_controlled_by(obj: Object, owner: Object) -> bool:
    """Tell whether `owner` is the controller of `obj`."""
    ref = controller_of(obj)
    return ref is not None and ref["uid"] == owner["metadata"]["uid"]
