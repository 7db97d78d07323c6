"""Where the graph hears of every object."""
