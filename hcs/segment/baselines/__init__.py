"""What hcs is compared with: thresholds, a forest, and the networks of the papers."""
