"""One request and its response: what the policy answers is carried out here."""
