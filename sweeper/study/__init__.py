"""A search's study: which trial comes next, which rests, which ends."""
