"""Qida: social-security-card deadlines in mainland working days, reminded of in time."""

__version__ = "0.1.0.dev0"
