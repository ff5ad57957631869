"""The folder that a team works in: its marker, its own groups, its machine's settings, and how it is begun."""
