"""Decides what runs where and when: plan, schedule, journal, tracking, executors, command line, Hydra plug-in."""

from sweeper.own_packages import stand_first

# Before anything of ours is imported: research code is often run with PYTHONPATH=. from folders with a `runners` of
# their own.
stand_first()
