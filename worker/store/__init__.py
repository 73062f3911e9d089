"""What Qida keeps: one database, its tables, and the keys that seal personal data in it."""
