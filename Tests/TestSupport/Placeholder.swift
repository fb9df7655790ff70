// Replaced by the first shared fake.
