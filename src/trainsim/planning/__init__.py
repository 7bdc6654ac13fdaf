"""Which layout is best, and what a budget and a deadline allow."""

from .search import PlanSearch as PlanSearch
from .search import RankedPlan as RankedPlan
from .search import search_plans as search_plans
from .solution import Limit as Limit
from .solution import Solution as Solution
from .solve import solve_for as solve_for
