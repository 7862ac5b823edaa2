"""How a conversion runs: its work folder, what it notes there, its processes."""
