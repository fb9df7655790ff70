/// How long to wait before the next try: doubles up to a limit, spread at random so that a
/// thousand stations do not come back in the same second.
///
/// The wait is uniform between half and the whole of the current step.
package struct Backoff: Sendable {
    package let firstMilliseconds: Int64
    package let longestMilliseconds: Int64
    /// Tries since the last success.
    package private(set) var tries = 0
    private var random: SeededRandom

    package init(
        firstMilliseconds: Int64 = 1000, longestMilliseconds: Int64 = 300_000,
        seed: UInt64 = .random(in: .min ... .max)
    ) {
        precondition(
            firstMilliseconds > 0 && longestMilliseconds >= firstMilliseconds,
            "a back-off starts above zero and ends at or above its start")
        self.firstMilliseconds = firstMilliseconds
        self.longestMilliseconds = longestMilliseconds
        random = SeededRandom(seed: seed)
    }

    /// Milliseconds to wait before the next try.
    package mutating func next() -> Int64 {
        var step = firstMilliseconds
        // 63 doublings reach any limit, whatever the number of tries.
        for _ in 0..<min(tries, 63) {
            step = step > longestMilliseconds / 2 ? longestMilliseconds : step * 2
        }
        tries += 1
        return Int64.random(in: (step + 1) / 2...step, using: &random)
    }

    /// After a success the next wait is short again.
    package mutating func reset() { tries = 0 }
}

/// SplitMix64: small, quick, repeatable from its seed. Not for secrets.
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
