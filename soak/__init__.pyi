from soak.analysis import judge as judge
from soak.api import check as check
from soak.inside.marks import mark as mark
from soak.reporting.words import explain as explain

__version__: str
__all__ = ["check", "explain", "judge", "mark"]
