import Glibc

/// How much a property test may try: little in `make test`, much in `make test-long`.
package enum Budget {
    package static var isLong: Bool { getenv("KERB_LONG") != nil }

    package static func seeds(_ short: Int, long: Int) -> Int { isLong ? long : short }
}
