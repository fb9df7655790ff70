/// Where a token stands in the text.
package struct JSONSlice: Hashable, Sendable {
    /// Without the quotes of a string.
    package let start: Int
    package let end: Int
    /// A string that holds escapes: its bytes are not its characters.
    package let isEscaped: Bool

    @inlinable package init(start: Int, end: Int, isEscaped: Bool = false) {
        self.start = start
        self.end = end
        self.isEscaped = isEscaped
    }
}

/// A pull parser over borrowed bytes: no tree, no copies, exact numbers.
///
/// The caller asks for what it expects, in the order of the text. Strings are checked (UTF-8,
/// escapes, surrogates) where they are read or skipped, so what `skip()` passes over is JSON too.
/// Keys that stand twice come twice; only the tree refuses them.
/// ```
/// var reader = JSONReader(bytes.span.bytes)
/// try reader.object { r, key throws(JSONError) in
///     if r.matches(key, "connectorId") { id = try r.int() } else { try r.skip() }
/// }
/// try reader.finish()
/// ```
package struct JSONReader: ~Escapable {
    @usableFromInline let span: RawSpan
    @usableFromInline var position = 0
    @usableFromInline var depth = 0
    @usableFromInline var values = 0
    @usableFromInline let limits: JSONLimits

    @_lifetime(copy span)
    @inlinable package init(_ span: RawSpan, limits: JSONLimits = .standard) {
        self.span = span
        self.limits = limits
    }

    /// Bytes read so far.
    @inlinable package var offset: Int { position }

    // Sound because every caller compares with `byteCount` first.
    @inlinable @inline(__always) func byte(_ index: Int) -> UInt8 {
        span.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
    }

    // MARK: Tokens

    @inlinable @_lifetime(self: copy self)
    mutating func skipBlanks() {
        let count = span.byteCount
        while position < count {
            let c = byte(position)
            guard c == 0x20 || c == 0x0A || c == 0x0D || c == 0x09 else { return }
            position &+= 1
        }
    }

    /// The next byte that is not blank.
    @inlinable @_lifetime(self: copy self)
    package mutating func peek() throws(JSONError) -> UInt8 {
        skipBlanks()
        guard position < span.byteCount else { throw JSONError(.endOfText, at: position) }
        return byte(position)
    }

    @inlinable @_lifetime(self: copy self)
    package mutating func expect(_ character: UInt8) throws(JSONError) {
        let found = try peek()
        guard found == character else { throw JSONError(.unexpected(found), at: position) }
        position &+= 1
    }

    /// Takes `character` if it is next.
    @inlinable @_lifetime(self: copy self)
    package mutating func accept(_ character: UInt8) throws(JSONError) -> Bool {
        guard try peek() == character else { return false }
        position &+= 1
        return true
    }

    /// Nothing but blanks may follow, and the text is not over its byte limit.
    @_lifetime(self: copy self)
    package mutating func finish() throws(JSONError) {
        skipBlanks()
        guard position == span.byteCount else { throw JSONError(.trailingBytes, at: position) }
    }

    // MARK: Structure

    /// Every member of an object; `body` must take exactly the value.
    @inlinable @_lifetime(self: copy self)
    package mutating func object(
        _ body: (inout JSONReader, JSONSlice) throws(JSONError) -> Void
    ) throws(JSONError) {
        try enter(0x7B, "an object")
        if try accept(0x7D) { return leave() }
        var count = 0
        repeat {
            count &+= 1
            guard count <= limits.members else { throw JSONError(.limit("members"), at: position) }
            let key = try rawString()
            try expect(0x3A)
            try body(&self, key)
        } while try accept(0x2C)
        try expect(0x7D)
        leave()
    }

    /// Every element of an array; `body` must take exactly the value.
    @inlinable @_lifetime(self: copy self)
    package mutating func array(
        _ body: (inout JSONReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        try enter(0x5B, "an array")
        if try accept(0x5D) { return leave() }
        var count = 0
        repeat {
            count &+= 1
            guard count <= limits.elements else {
                throw JSONError(.limit("elements"), at: position)
            }
            try body(&self)
        } while try accept(0x2C)
        try expect(0x5D)
        leave()
    }

    @inlinable @_lifetime(self: copy self)
    mutating func enter(_ bracket: UInt8, _ kind: String) throws(JSONError) {
        guard span.byteCount <= limits.bytes else { throw JSONError(.limit("bytes"), at: 0) }
        guard try peek() == bracket else { throw JSONError(.expected(kind), at: position) }
        guard depth < limits.depth else { throw JSONError(.limit("depth"), at: position) }
        position &+= 1
        depth &+= 1
    }

    @inlinable @_lifetime(self: copy self)
    mutating func leave() { depth &-= 1 }

    /// Passes over one value, checking it like any other.
    @_lifetime(self: copy self)
    package mutating func skip() throws(JSONError) {
        switch try peek() {
        case 0x22: _ = try rawString()
        case 0x7B: try object { reader, _ throws(JSONError) in try reader.skip() }
        case 0x5B: try array { reader throws(JSONError) in try reader.skip() }
        case 0x74, 0x66: _ = try bool()
        case 0x6E: try null()
        default: _ = try number()
        }
    }

    /// Passes over one value and tells where it stands, blanks around it left out.
    @_lifetime(self: copy self)
    package mutating func rawValue() throws(JSONError) -> JSONSlice {
        _ = try peek()
        let start = position
        try skip()
        return JSONSlice(start: start, end: position)
    }

    /// A copy of the bytes of a slice.
    package func bytes(_ slice: JSONSlice) -> [UInt8] {
        span.extracting(slice.start..<slice.end).withUnsafeBytes { Array($0) }
    }

    // MARK: Scalars

    @_lifetime(self: copy self)
    package mutating func bool() throws(JSONError) -> Bool {
        switch try peek() {
        case 0x74:
            try word("true")
            return true
        case 0x66:
            try word("false")
            return false
        default: throw JSONError(.expected("true or false"), at: position)
        }
    }

    @_lifetime(self: copy self)
    package mutating func null() throws(JSONError) {
        guard try peek() == 0x6E else { throw JSONError(.expected("null"), at: position) }
        try word("null")
    }

    /// Takes `null` if it is next: the way to read an optional value.
    @_lifetime(self: copy self)
    package mutating func acceptNull() throws(JSONError) -> Bool {
        guard try peek() == 0x6E else { return false }
        try word("null")
        return true
    }

    @_lifetime(self: copy self)
    private mutating func word(_ word: StaticString) throws(JSONError) {
        let count = word.utf8CodeUnitCount
        guard position + count <= span.byteCount else { throw JSONError(.endOfText, at: position) }
        for index in 0..<count where byte(position + index) != word.utf8Start[index] {
            throw JSONError(.unexpected(byte(position + index)), at: position + index)
        }
        position += count
    }

    /// A string as text.
    @_lifetime(self: copy self)
    package mutating func string() throws(JSONError) -> String { text(of: try rawString()) }

    /// Where the bytes of a string stand; they are valid UTF-8 with valid escapes.
    @inlinable @_lifetime(self: copy self)
    package mutating func rawString() throws(JSONError) -> JSONSlice {
        guard try peek() == 0x22 else { throw JSONError(.expected("a string"), at: position) }
        position &+= 1
        let (count, start) = (span.byteCount, position)
        var (isEscaped, isASCII) = (false, true)
        while position < count {
            let c = byte(position)
            if c == 0x22 {
                let slice = JSONSlice(start: start, end: position, isEscaped: isEscaped)
                guard position &- start <= limits.stringBytes else {
                    throw JSONError(.limit("stringBytes"), at: start)
                }
                if !isASCII { try checkUTF8(slice) }
                position &+= 1
                return slice
            }
            if c == 0x5C {
                isEscaped = true
                try skipEscape()
                continue
            }
            guard c >= 0x20 else { throw JSONError(.unexpected(c), at: position) }
            if c >= 0x80 { isASCII = false }
            position &+= 1
        }
        throw JSONError(.endOfText, at: position)
    }
}
