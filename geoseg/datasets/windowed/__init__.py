"""What the data sets over windows of masks share: pixels, class ids, augmentation, rows, checks."""
