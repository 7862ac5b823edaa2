"""MBTiles from the inside: the database, its tables, where tiles lie, and the pictures in them."""
