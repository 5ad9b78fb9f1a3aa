"""What can go wrong, by what a caller can do about it.

Trouble of the operating system (a full disk, a missing permission) comes as the usual ``OSError``
with the path of the file.
"""

from __future__ import annotations


class FolderError(Exception):
    """Trouble with the shared folder or with a job in it; the base of all others."""


class NotAFolder(FolderError):
    """There is no shared folder at this path. Look at the path and at the mount."""


class Busy(FolderError):
    """Somebody else held the lock for the whole time that a caller waits. Try again."""


class IndexDamaged(FolderError):
    """``request/status.json`` cannot be read. Nothing was changed; a service mends it."""


class InvalidResult(FolderError, ValueError):
    """What was to be published is not one JSON document, or too large. Nothing was published."""


class InvalidEdit(FolderError, ValueError):
    """A change by hand would break a rule of the folder. Nothing was changed."""


class JobOver(FolderError):
    """The work on this job is to end; see the two kinds of it."""

    def __init__(self, uuid: str, message: str) -> None:
        super().__init__(message)
        #: The job's id.
        self.uuid = uuid


class JobCanceled(JobOver):
    """A client wants this job to end."""


class JobLost(JobOver):
    """The job is no longer this run's: it was taken over, or ended by somebody else."""
