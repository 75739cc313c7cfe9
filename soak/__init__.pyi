from soak.analysis import judge as judge
from soak.api import check as check
from soak.api import explain as explain
from soak.inside.marking.marks import mark as mark
from soak.inside.marking.middleware import asgi as asgi
from soak.inside.marking.middleware import wsgi as wsgi
from soak.notebook import load_ipython_extension as load_ipython_extension

__version__: str
__all__ = ["asgi", "check", "explain", "judge", "mark", "wsgi"]
