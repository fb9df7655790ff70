/// What a JSON text may cost its reader. Everything beyond is refused with `JSONError.Reason.limit`.
package struct JSONLimits: Hashable, Sendable {
    /// Bytes of the whole text.
    package var bytes: Int
    /// Objects and arrays inside each other.
    package var depth: Int
    /// Members of one object.
    package var members: Int
    /// Elements of one array.
    package var elements: Int
    /// Values of the whole text when a tree is built; a pull reader keeps nothing and does not count.
    package var values: Int
    /// Bytes of one string between its quotes.
    package var stringBytes: Int
    /// Bytes of one number.
    package var numberBytes: Int

    package init(
        bytes: Int = 4 << 20, depth: Int = 64, members: Int = 2_000, elements: Int = 100_000,
        values: Int = 250_000, stringBytes: Int = 1 << 20, numberBytes: Int = 128
    ) {
        self.bytes = bytes
        self.depth = depth
        self.members = members
        self.elements = elements
        self.values = values
        self.stringBytes = stringBytes
        self.numberBytes = numberBytes
    }

    /// For messages of peers and stations.
    package static let standard = JSONLimits()

    /// For files the operator wrote or the program keeps itself.
    package static let file = JSONLimits(
        bytes: 64 << 20, members: 100_000, elements: 1_000_000, values: 4_000_000)
}
