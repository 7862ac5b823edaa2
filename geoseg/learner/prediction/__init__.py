"""The parts of a prediction: windows in batches, the model, scores joined to rows."""
