"""Proofs by force: the worker is killed over and over, and its books are then audited from outside.

`python -m proofs --short` (CI) or `--long`; docs/proofs.md tells what is proved and how.
"""
