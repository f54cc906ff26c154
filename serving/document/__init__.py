"""The OpenAPI document as it is served: every call described, with an example and its problems."""
