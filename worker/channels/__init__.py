"""One file a provider. A channel makes one wire attempt and answers with a value."""
