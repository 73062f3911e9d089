"""What Qida knows without asking anyone: no files, network, clock, randomness or logging."""
