"""transferlab: should I transfer, from what, and how? Answered by experiment."""

__version__ = "0.1.0"
