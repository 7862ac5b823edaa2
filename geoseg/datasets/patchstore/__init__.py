"""What LMDBDataset is made of: the rows of stores, which of them make an item, and how they are read."""
