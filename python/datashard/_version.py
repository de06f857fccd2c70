"""Version and author of the distribution."""

__version__ = "1.0.0.dev0"
__author__ = "The DataShard developers"
