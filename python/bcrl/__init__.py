"""bcrlapi for Python: its HTTP API, and the folder protocol for those who take part in its queue.

``Client`` submits jobs over HTTP, and a ``JobHandle`` waits for one and fetches its result.

``Folder`` opens a shared folder, ``Folder.claim`` takes the next job, and ``Job`` shows how far it
is and ends it. ``edit`` changes the index by hand without breaking it. The same from the command
line: ``bcrl-folder --help``, or ``python3 -m bcrl --help``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__
from .errors import (
    Busy,
    ClientError,
    ConnectionLost,
    FolderError,
    ForeignAnswer,
    GaveUp,
    IndexDamaged,
    InvalidEdit,
    InvalidRequest,
    InvalidResult,
    JobCanceled,
    JobLost,
    JobOver,
    NoResult,
    NotAFolder,
    Problem,
    SubmissionUndecided,
    Unreachable,
)

if TYPE_CHECKING:
    from ._catalog import Limits
    from .client import Client
    from .folder import Folder, Listed, edit
    from .job import Job
    from .job_handle import JobHandle
else:
    # Each side is loaded when it is asked for: the folder's commands start without HTTP, and the
    # client does without what only Linux has.
    _MODULES = {
        "Client": "client",
        "Folder": "folder",
        "Job": "job",
        "JobHandle": "job_handle",
        "Limits": "_catalog",
        "Listed": "folder",
        "edit": "folder",
    }

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)


__all__ = [
    "Busy",
    "Client",
    "ClientError",
    "ConnectionLost",
    "Folder",
    "FolderError",
    "ForeignAnswer",
    "GaveUp",
    "IndexDamaged",
    "InvalidEdit",
    "InvalidRequest",
    "InvalidResult",
    "Job",
    "JobCanceled",
    "JobHandle",
    "JobLost",
    "JobOver",
    "Limits",
    "Listed",
    "NoResult",
    "NotAFolder",
    "Problem",
    "SubmissionUndecided",
    "Unreachable",
    "__version__",
    "edit",
]
