"""The network that hcs ships, and how its probabilities become nuclei on a CPU."""
