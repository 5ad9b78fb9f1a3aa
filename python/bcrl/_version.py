"""The version, the same as that of the services."""

__version__ = "0.1.0"
