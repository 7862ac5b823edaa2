"""Learning on volumes: windows, the module, its training, and what it predicts."""
