"""From one field of one channel to nucleus labels: normalise, U-Net, three classes, instances."""
