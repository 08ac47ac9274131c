"""The benchmark: a seeded lake of any size, our plans and their rivals over its files, ratios to the bare scans."""
