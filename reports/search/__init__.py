"""What a search came to: its trials read back, its section of the report, its pictures, its study for Optuna."""
