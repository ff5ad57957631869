"""Plug-ins that Hydra finds in its namespace."""
