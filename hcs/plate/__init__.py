"""Plate geometry and annotation: wells, fields, plate map, controls. Pure."""
