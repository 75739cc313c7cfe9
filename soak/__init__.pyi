from soak.analysis import judge as judge
from soak.api import check as check
from soak.api import explain as explain
from soak.inside.marks import mark as mark

__version__: str
__all__ = ["check", "explain", "judge", "mark"]
