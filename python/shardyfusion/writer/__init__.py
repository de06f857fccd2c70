"""Writers of sharded snapshots, one sub-package for each source of rows."""
