"""The chassis: what every Snowrail service stands on."""
