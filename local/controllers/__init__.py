"""Kubernetes' controllers, as far as the one-machine mesh has their kinds."""

import asyncio

from local.controllers.base import Controller
from local.controllers.deployments import DeploymentController
from local.controllers.endpointslices import EndpointSliceController
from local.controllers.events import EventRecorder
from local.controllers.garbage import GarbageCollector
from local.controllers.jobs import JobController
from local.controllers.namespaces import NamespaceController
from local.controllers.replicasets import ReplicaSetController
from local.controllers.root_ca import RootCAPublisher
from local.settings import Settings
from local.store import Store

__all__ = ["Controllers", "EventRecorder"]


class Controllers:
    """All controllers (kube-controller-manager)."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        job_back_off: float = 10.0,
    ) -> None:
        """Make them; `job_back_off`: seconds before the first failed pod of a Job is replaced."""
        recorder = EventRecorder(store)
        self._controllers: list[Controller] = [
            NamespaceController(store),
            RootCAPublisher(store, settings),
            DeploymentController(store, recorder),
            ReplicaSetController(store, recorder),
            JobController(store, recorder, job_back_off),
            EndpointSliceController(store),
            GarbageCollector(store),
        ]

    async def run(self) -> None:
        """Run all controllers until cancelled."""
        async with asyncio.TaskGroup() as group:
            for controller in self._controllers:
                group.create_task(controller.run(), name=type(controller).__name__)
