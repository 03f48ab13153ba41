"""What answers and requests look like: one small module for each subject. Nothing here fetches anything."""
