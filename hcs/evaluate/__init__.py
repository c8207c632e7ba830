"""How good are labels: objects matched with truth."""
