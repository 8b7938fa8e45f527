"""Commands of ``mindrestore`` that each have a file: its options, and what it calls."""
