"""The weights that VirtualServices want, as a metric: Prometheus then has them beside what is seen."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from console.kubernetes import Kubernetes, KubernetesError, virtual_services, weights_of


class WeightsCollector(Collector):
    """Asks the Kubernetes API at each scrape."""

    def __init__(self, kubernetes: Kubernetes, namespace: str) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace

    def describe(self) -> list[GaugeMetricFamily]:
        """Return the metric without values, so that registering asks nothing."""
        return [self._family()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the share in percent of each destination; nothing where the API cannot be read."""
        family = self._family()
        try:
            found = virtual_services(self._kubernetes, self._namespace)
        except KubernetesError:
            found = []
        for virtual_service in found:
            for weight in weights_of(virtual_service):
                labels = [
                    self._namespace,
                    weight.virtual_service,
                    weight.rule,
                    weight.host,
                    weight.subset,
                ]
                family.add_metric(labels, weight.percent)
        yield family

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily(
            "c756_route_weight_percent",
            "Share of the traffic that a VirtualService's rule wants for a destination.",
            labels=[
                "destination_service_namespace",
                "virtual_service",
                "rule",
                "destination_service_name",
                "destination_version",
            ],
        )
