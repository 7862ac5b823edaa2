"""Self-contained HTML pages: small builders and one look."""
