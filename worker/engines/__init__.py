"""Who ticks, and nothing else: reminder rows are the truth and the schedule."""
