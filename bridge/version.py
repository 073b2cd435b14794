"""The version, read by the build and shown to people."""

__version__ = "0.1.0"
