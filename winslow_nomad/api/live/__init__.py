"""Live updates: one socket for each client, topics with cursors. Nothing here is kept: whoever was away says where it
had got to, or reads the state anew."""
