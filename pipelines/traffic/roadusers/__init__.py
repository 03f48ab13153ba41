"""What the stages of the traffic pipeline share: the contract with Winslow, video, background, tracking, drawing."""
