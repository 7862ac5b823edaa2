"""Parts of the data set over volumes."""
