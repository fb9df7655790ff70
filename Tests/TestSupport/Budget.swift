import Glibc

/// How much a property test may try: little in `make test`, much in `make test-long`.
package enum Budget {
    package static var isLong: Bool { getenv("KERB_LONG") != nil }

    /// Where a search begins: a seed that failed is tried again by itself.
    package static var firstSeed: Int {
        getenv("KERB_FIRST_SEED").flatMap { Int(String(cString: $0)) } ?? 0
    }

    package static func seeds(_ short: Int, long: Int) -> Int { isLong ? long : short }
}
