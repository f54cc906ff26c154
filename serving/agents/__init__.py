"""A message in plain words -> calls of this API's own operations -> an answer that quotes what they gave. Rules, no model."""
