"""A proxy's discovery files: each is replaced in one step, and only where its content differs.

Format: DiscoveryResponse,
https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/service/discovery/v3/discovery.proto.
"""

import hashlib
import json
from collections.abc import Iterable

from local.files import write_atomically
from local.istiod.translate import Configuration, Folder
from local.istiod.values import Json


def response(resources: Iterable[Json]) -> tuple[str, str]:
    """Return version and text of a DiscoveryResponse; the version is the content's digest."""
    listed = list(resources)
    body = json.dumps(listed, sort_keys=True, separators=(",", ":"))
    version = hashlib.sha256(body.encode()).hexdigest()[:16]
    return version, f'{{"version_info":"{version}","resources":{body}}}\n'


CDS_STAT, LDS_STAT = "cluster_manager.cds", "listener_manager.lds"


def routes_stat(name: str) -> str:
    """Return the prefix of a route configuration's stats; listeners use its name as their stat_prefix."""
    return f"http.{name}.rds.{name}"


class ProxyFiles:
    """The files of one proxy."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        (folder.path / "rds").mkdir(parents=True, exist_ok=True)

    def write_clusters(self, clusters: Iterable[Json]) -> str:
        """Write CDS; return the version."""
        version, text = response(clusters)
        write_atomically(self.folder.clusters, text)
        return version

    def write_listeners(self, listeners: Iterable[Json]) -> str:
        """Write LDS; return the version."""
        version, text = response(listeners)
        write_atomically(self.folder.listeners, text)
        return version

    def write_routes(self, name: str, routes: Json) -> str:
        """Write one route configuration of RDS; return the version."""
        version, text = response([routes])
        write_atomically(self.folder.routes(name), text)
        return version

    def remove_routes(self, name: str) -> None:
        """Remove the file of a route configuration that is gone."""
        self.folder.routes(name).unlink(missing_ok=True)

    def write_all(self, config: Configuration) -> None:
        """Write everything for an Envoy that does not run yet, what is referred to first."""
        for name, routes in config.routes.items():
            self.write_routes(name, routes)
        self.write_clusters(config.clusters.values())
        self.write_listeners(config.listeners.values())
        kept = {self.folder.routes(name) for name in config.routes}
        for path in (self.folder.path / "rds").glob("*.json"):
            if path not in kept:
                path.unlink()
