"""What is wrong with a data set, and what to do about it, before anybody trains on it."""
