"""What stacks share: one grid for several sources, times, and the items of a catalogue."""
