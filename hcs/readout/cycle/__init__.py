"""The cell cycle: phases from DNA content, classes from the CDK2 sensor."""
