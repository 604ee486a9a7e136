"""Where arrays live: devices, the GPU, recorded steps, random numbers, files, threads."""
