"""What `align` is made of: the kernel, what is carried over, and the writing."""
