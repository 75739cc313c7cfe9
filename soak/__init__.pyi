from soak.analysis import judge as judge
from soak.api import check as check
from soak.api import explain as explain
from soak.inside.marks import mark as mark
from soak.inside.middleware import asgi as asgi
from soak.inside.middleware import wsgi as wsgi
from soak.notebook import load_ipython_extension as load_ipython_extension

__version__: str
__all__ = ["asgi", "check", "explain", "judge", "mark", "wsgi"]
