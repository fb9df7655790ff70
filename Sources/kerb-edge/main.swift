print("kerb-edge")
