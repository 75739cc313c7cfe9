"""Where servers take their application, and where Celery begins a task."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from soak.inside.marking.marks import mark
from soak.inside.marking.middleware import asgi, wsgi

if TYPE_CHECKING:
    from collections.abc import Callable


def _attribute_after(
    name: str, method: str, attribute: str, wrap: Callable[[Any], Any]
) -> Callable[[ModuleType], None]:
    """Return a patch: after ``method`` of class ``name`` its ``attribute`` is the application; wrap that."""

    def patch(module: ModuleType) -> None:
        owner = getattr(module, name)
        original = getattr(owner, method)

        def patched(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            setattr(self, attribute, wrap(getattr(self, attribute)))
            return result

        setattr(owner, method, patched)

    return patch


def _wrap_result_of_gunicorn(module: ModuleType) -> None:
    owner: Any = module.BaseApplication
    original = owner.wsgi

    def patched(self: Any) -> Any:
        application = original(self)
        # A worker for ASGI gets its application here too, and calls it in another way.
        is_asgi = "uvicorn" in str(self.cfg.worker_class_str) or "asgi" in str(self.cfg.worker_class_str)
        return application if is_asgi else wsgi(application)

    owner.wsgi = patched


def _mark_tasks(module: ModuleType) -> None:
    def begin_task(sender: Any = None, **_: Any) -> None:
        mark(str(getattr(sender, "name", sender)))

    module.task_prerun.connect(begin_task, weak=False)


FRAMEWORKS: dict[str, tuple[tuple[str, Callable[[ModuleType], None]], ...]] = {
    "asgi": (("uvicorn.config", _attribute_after("Config", "load", "loaded_app", asgi)),),
    "wsgi": (
        ("gunicorn.app.base", _wrap_result_of_gunicorn),
        ("werkzeug.serving", _attribute_after("BaseWSGIServer", "__init__", "app", wsgi)),
        ("waitress.server", _attribute_after("BaseWSGIServer", "__init__", "application", wsgi)),
        ("wsgiref.simple_server", _attribute_after("WSGIServer", "set_app", "application", wsgi)),
    ),
    "celery": (("celery.signals", _mark_tasks),),
}
"""By the name that ``--mark`` takes: the modules in which something is changed once the program has imported them."""
