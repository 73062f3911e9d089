"""Whole installations simulated from a seed: weeks of virtual time, every fault of the wire.

`python -m proofs --simulate --seeds N`; docs/proofs.md tells what is simulated and who judges.
"""
