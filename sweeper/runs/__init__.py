"""Single runs, as people name them: found, evaluated, and taken along."""
