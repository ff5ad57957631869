"""A sweep's own folder: its journal, its files, and what an earlier controller left in it."""
