from soak.analysis import judge as judge
from soak.api import check as check
from soak.inside.marks import mark as mark

__version__: str
__all__ = ["check", "judge", "mark"]
