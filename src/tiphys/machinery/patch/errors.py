"""Why a patch cannot be applied. Which status a client gets for it is the API server's: 400, 413 and 422 in turn."""

from __future__ import annotations

NESTED_TOO_DEEP = "the patch or the object is nested too deep"


class PatchError(ValueError):
    """Any reason. The text is meant for the client."""


class MalformedPatch(PatchError):
    """The patch is not one: wrong shape, unknown operation or directive."""


class PatchTooLarge(PatchError):
    """The patch asks for more work than is allowed."""


class PatchNotApplicable(PatchError):
    """The patch is one, but does not fit this object: a path is missing, a test failed."""
