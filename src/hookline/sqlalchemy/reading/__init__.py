"""Reading SQL texts: which tables they write to, and how."""
