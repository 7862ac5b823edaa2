"""The parts of a training: what is looked at before, done on the way and kept."""
