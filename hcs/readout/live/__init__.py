"""What is read from tracks: cycles and CDK2 after mitosis, answers to a stimulus, growth, and Z' over time."""
