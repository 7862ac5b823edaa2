"""From one grid to another: where pixels lie, what they become, and from which overview."""
