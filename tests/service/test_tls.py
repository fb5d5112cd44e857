"""TLS of the service's port."""

from __future__ import annotations
