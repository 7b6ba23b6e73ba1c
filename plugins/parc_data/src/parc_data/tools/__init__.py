"""What `parc data` does with clips and folders of clips."""
