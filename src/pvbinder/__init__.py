"""The Kubernetes persistent-volume control plane in Python."""

__version__ = "0.1.0"
