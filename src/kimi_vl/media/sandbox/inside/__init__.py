"""What runs in the child processes: the nursery, which sees no file, and its workers, which see one file and nothing else."""
