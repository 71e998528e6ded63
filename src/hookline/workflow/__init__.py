"""Workflows: states, transitions and approvals on a field of a model, whose steps are events for hooks."""

from hookline.workflow.definition import Approval, Definition, Draft, State, Transition
from hookline.workflow.entries import Entry
from hookline.workflow.migration import Migration
from hookline.workflow.progress import Progress
from hookline.workflow.users import Actor, actor_of, users_of
from hookline.workflow.workflow import Workflow

__all__ = [
    "Actor",
    "Approval",
    "Definition",
    "Draft",
    "Entry",
    "Migration",
    "Progress",
    "State",
    "Transition",
    "Workflow",
    "actor_of",
    "users_of",
]
