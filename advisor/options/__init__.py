"""Answers and catalogue give the concrete candidate of each approach."""

from advisor.options.blockers import Blocker
from advisor.options.candidates import Option, build_option, build_options, facts_for_options
from advisor.options.project import Project, project_of

__all__ = [
    "Blocker",
    "Option",
    "Project",
    "build_option",
    "build_options",
    "facts_for_options",
    "project_of",
]
