"""Devices, who has them, and what a job gets of them."""
