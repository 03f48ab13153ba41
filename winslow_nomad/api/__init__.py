"""REST and live updates over what core declares. May be absent: nothing else depends on it, and any number of
these processes may run side by side. Never decides, and holds nothing that a restart would lose."""
