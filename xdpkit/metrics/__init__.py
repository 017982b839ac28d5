"""The contents of ``xdpkit status``, for Prometheus: metric families, and an HTTP server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xdpkit.config.metrics import MetricsConfig
    from xdpkit.metrics.server import MetricsServer


def metrics_server(config: MetricsConfig | None) -> MetricsServer | None:
    """The server of a configuration, if it has one; ``status`` has to be set before it serves."""
    if config is None:
        return None
    # Imported here: prometheus_client takes 9 MB of memory and 0.1 s of startup.
    from xdpkit.metrics.server import MetricsServer

    return MetricsServer(config.listen)
