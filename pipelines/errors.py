"""What can go wrong in the pipeline, apart from programming errors.

    PipelineError
    ├── SourceError      a file that cannot be read as declared: names file, column and row
    ├── ContractError    a table that differs from its contract: names table and column, both schemas
    └── PublishError     a snapshot that cannot be made or pointed to: names the part or the snapshot

A mistake in the YAML is a DeclarationError of assets_config.declared. Rejected rows are data, not errors.
"""


class PipelineError(Exception):
    """The message is written for the person who has to mend it."""


class SourceError(PipelineError):
    """A source that cannot be read as it is declared."""


class ContractError(PipelineError):
    """A table that is not what its contract says."""


class PublishError(PipelineError):
    """A snapshot that cannot be published or pointed to; the one served before stays."""
