print("kerb-sim")
