"""One use case a function; each opens its own transactions and is told the time."""
