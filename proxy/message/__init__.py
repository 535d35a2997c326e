"""HTTP messages as values: fields, heads, the grammar of field values, and where a body ends."""
