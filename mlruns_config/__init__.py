"""All that configures tracking and studies: data only, shipped with the package."""
