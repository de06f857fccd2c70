"""One adapter per system: each method does its own set-up, then returns the seconds of the measured part alone."""
