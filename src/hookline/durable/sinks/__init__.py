"""Where deliveries can go instead of to a function: one file for each kind of place."""
