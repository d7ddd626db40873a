"""The whole catalogue gives the Pareto front of time against money, under memory and limits.

What a recommendation needs of it is here; `finding` has the search itself, `documents` its result.
"""

from advisor.search.near import Near, front_near
from advisor.search.points import Limits

__all__ = ["Limits", "Near", "front_near"]
