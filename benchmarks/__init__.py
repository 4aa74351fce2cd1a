"""Measurements that anyone can make again; none of it is imported by transferlab."""
