"""The persistentvolume-binder controller: binds claims to volumes, has volumes made, and reclaims them.

`controller.Binder` is the controller; everything else here is a part of it. Decisions are in `rules`, none are here.
"""

from pvbinder.controllers.binder.controller import Binder, BinderStatistics

__all__ = ["Binder", "BinderStatistics"]
