print("kerb-cpo")
