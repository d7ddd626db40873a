"""A chosen option becomes plan.json: every setting of the job, and what is predicted of it."""

from advisor.planning.bases import require_base
from advisor.planning.draft import LeadChoices, Workshop
from advisor.planning.making import make_plan
from advisor.planning.plan import Plan

__all__ = ["LeadChoices", "Plan", "Workshop", "make_plan", "require_base"]
