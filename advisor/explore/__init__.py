"""What could still change the answer: open questions, and other answers to those that are given."""

from advisor.explore.trying import (
    Asked,
    Flip,
    Swept,
    next_questions,
    questions_that_apply,
    sweep,
)

__all__ = ["Asked", "Flip", "Swept", "next_questions", "questions_that_apply", "sweep"]
