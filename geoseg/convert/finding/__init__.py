"""The search for patches in the folders that a user names."""
