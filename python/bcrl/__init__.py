"""The folder protocol of bcrlapi, for scripts of one's own that take part in its queue.

``Folder`` opens a shared folder, ``Folder.claim`` takes the next job, and ``Job`` shows how far it
is and ends it. ``edit`` changes the index by hand without breaking it. The same from the command
line: ``bcrl-folder --help``, or ``python3 -m bcrl --help``.
"""

from ._catalog import Limits
from ._version import __version__
from .errors import (
    Busy,
    FolderError,
    IndexDamaged,
    InvalidEdit,
    InvalidResult,
    JobCanceled,
    JobLost,
    JobOver,
    NotAFolder,
)
from .folder import Folder, Listed, edit
from .job import Job

__all__ = [
    "Busy",
    "Folder",
    "FolderError",
    "IndexDamaged",
    "InvalidEdit",
    "InvalidResult",
    "Job",
    "JobCanceled",
    "JobLost",
    "JobOver",
    "Limits",
    "Listed",
    "NotAFolder",
    "__version__",
    "edit",
]
