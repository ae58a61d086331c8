"""The persistentvolume-binder-controller as the manager starts it: flags become settings, and plug-ins are loaded."""

from __future__ import annotations

from collections.abc import Iterator

from pvbinder.controllers import features
from pvbinder.controllers.binder import Binder
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.measures import Measures
from pvbinder.controllers.operations import Operations, aside
from pvbinder.controllers.plugins import load_plugins
from pvbinder.kube.queue import QueueStatistics
from pvbinder.model.names import BINDER_EVENT_SOURCE
from pvbinder.rules.settings import Settings
from pvbinder.volumes.calls import PluginCalls
from pvbinder.volumes.catalogue import Catalogue


class BinderController:
    """The binder and the operations that it starts."""

    def __init__(self, context: ControllerContext, *, catalogue: Catalogue | None = None) -> None:
        """Make it with the plugins that the flags want, or with those of `catalogue`."""
        options = context.options
        self.operations = Operations(now=context.now)
        self.measures = Measures()
        plugins = load_plugins(options) if catalogue is None else catalogue
        self.calls = PluginCalls(plugins, observe=self.measures.plugin_called, aside=aside)
        self.binder = Binder(
            context.client,
            context.informers,
            context.recorder(BINDER_EVENT_SOURCE),
            self.operations,
            self.calls,
            settings=Settings(
                dynamic_provisioning=options.enable_dynamic_provisioning,
                attributes_classes=options.feature_gates.is_on(features.ATTRIBUTES_CLASSES),
            ),
            sync_period_seconds=options.pvclaimbinder_sync_period,
            observe=self.measures.operation_ended,
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queues of claims and volumes."""
        yield from self.binder.queues()

    async def hand_over(self) -> None:
        """Begin no operation, and return when those that run are finished."""
        await self.operations.finish()

    async def run(self) -> None:
        """Work until cancelled."""
        async with self.operations:
            await self.binder.run()
