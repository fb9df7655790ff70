import Charging

extension JSONReader {
    /// Whether a key or string is `literal`; escapes are seen through. No allocation without them.
    @inlinable
    package func matches(_ slice: JSONSlice, _ literal: StaticString) -> Bool {
        if slice.isEscaped { return text(of: slice) == String(describing: literal) }
        let count = slice.end &- slice.start
        guard count == literal.utf8CodeUnitCount else { return false }
        let start = literal.utf8Start
        for index in 0..<count where byte(slice.start &+ index) != start[index] { return false }
        return true
    }

    /// The characters of a string slice.
    @usableFromInline
    package func text(of slice: JSONSlice) -> String {
        guard slice.isEscaped else {
            return span.extracting(slice.start..<slice.end).withUnsafeBytes {
                String(decoding: $0, as: UTF8.self)
            }
        }
        var out: [UInt8] = []
        out.reserveCapacity(slice.end - slice.start)
        var index = slice.start
        while index < slice.end {
            let c = byte(index)
            index += 1
            guard c == 0x5C, index < slice.end else {
                out.append(c)
                continue
            }
            let letter = byte(index)
            index += 1
            if letter == 0x75 {
                var unit = hex(index)
                index += 4
                if unit & 0xFC00 == 0xD800 {
                    // `skipEscape` has seen the second half already.
                    unit = 0x10000 + ((unit - 0xD800) << 10) + (hex(index + 2) - 0xDC00)
                    index += 6
                }
                Self.append(unit, to: &out)
            } else {
                out.append(Self.unescaped(letter) ?? letter)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Checks the escape at `position` and passes it, both halves of a surrogate pair at once.
    @usableFromInline @_lifetime(self: copy self)
    mutating func skipEscape() throws(JSONError) {
        guard position + 1 < span.byteCount else { throw JSONError(.endOfText, at: position) }
        let letter = byte(position + 1)
        if letter != 0x75 {
            guard Self.unescaped(letter) != nil else { throw JSONError(.badEscape, at: position) }
            position += 2
            return
        }
        let unit = try checkedHex(position + 2)
        guard unit != 0 else { throw JSONError(.nulCharacter, at: position) }
        guard unit & 0xFC00 != 0xDC00 else { throw JSONError(.badEscape, at: position) }
        guard unit & 0xFC00 == 0xD800 else {
            position += 6
            return
        }
        guard position + 7 < span.byteCount, byte(position + 6) == 0x5C, byte(position + 7) == 0x75,
            try checkedHex(position + 8) & 0xFC00 == 0xDC00
        else { throw JSONError(.badEscape, at: position) }
        position += 12
    }

    /// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
    @usableFromInline
    func checkUTF8(_ slice: JSONSlice) throws(JSONError) {
        var index = slice.start
        while index < slice.end {
            let first = byte(index)
            let (length, low, high): (Int, UInt8, UInt8)
            switch first {
            case 0x00...0x7F: (length, low, high) = (1, 0, 0)
            case 0xC2...0xDF: (length, low, high) = (2, 0x80, 0xBF)
            case 0xE0: (length, low, high) = (3, 0xA0, 0xBF)
            case 0xED: (length, low, high) = (3, 0x80, 0x9F)
            case 0xE1...0xEF: (length, low, high) = (3, 0x80, 0xBF)
            case 0xF0: (length, low, high) = (4, 0x90, 0xBF)
            case 0xF1...0xF3: (length, low, high) = (4, 0x80, 0xBF)
            case 0xF4: (length, low, high) = (4, 0x80, 0x8F)
            default: throw JSONError(.badUTF8, at: index)
            }
            guard index + length <= slice.end else { throw JSONError(.badUTF8, at: index) }
            for step in 1..<max(length, 1) {
                let next = byte(index + step)
                let isRight = step == 1 ? next >= low && next <= high : next & 0xC0 == 0x80
                guard isRight else { throw JSONError(.badUTF8, at: index) }
            }
            index += length
        }
    }

    /// A string that is a time, exactly `yyyy-mm-ddThh:mm:ss[.fff]Z` without allocation, every
    /// other form `Timestamp(rfc3339:)` takes with one.
    package func time(of slice: JSONSlice) -> Timestamp? {
        fastTime(slice) ?? Timestamp(rfc3339: text(of: slice))
    }

    @_lifetime(self: copy self)
    package mutating func time() throws(JSONError) -> Timestamp {
        let slice = try rawString()
        guard let time = time(of: slice) else {
            throw JSONError(.expected("an RFC 3339 time"), at: slice.start)
        }
        return time
    }

    private func fastTime(_ slice: JSONSlice) -> Timestamp? {
        let (start, count) = (slice.start, slice.end - slice.start)
        guard !slice.isEscaped, count == 20 || count == 24, byte(slice.end - 1) == 0x5A else {
            return nil
        }
        var isDigits = true
        func two(_ at: Int) -> Int64 {
            let (a, b) = (byte(start + at) &- 0x30, byte(start + at + 1) &- 0x30)
            if a > 9 || b > 9 { isDigits = false }
            return Int64(a) * 10 + Int64(b)
        }
        let year = two(0) * 100 + two(2)
        let (month, day, hour, minute, second) = (two(5), two(8), two(11), two(14), two(17))
        var milli: Int64 = 0
        if count == 24 {
            guard byte(start + 19) == 0x2E else { return nil }
            let last = byte(start + 22) &- 0x30
            guard last <= 9 else { return nil }
            milli = two(20) * 10 + Int64(last)
        }
        // Days after the 28th are left to the slow way, which knows the months.
        guard isDigits, byte(start + 4) == 0x2D, byte(start + 7) == 0x2D, byte(start + 10) == 0x54,
            byte(start + 13) == 0x3A, byte(start + 16) == 0x3A, (1...12).contains(month),
            (1...28).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        let days = Timestamp.days(year: year, month: month, day: day)
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second
        return Timestamp(milliseconds: seconds * 1000 + milli)
    }

    // MARK: Escapes

    private func checkedHex(_ start: Int) throws(JSONError) -> UInt32 {
        guard start + 4 <= span.byteCount else { throw JSONError(.endOfText, at: span.byteCount) }
        for index in start..<start + 4 {
            switch byte(index) {
            case 0x30...0x39, 0x41...0x46, 0x61...0x66: continue
            default: throw JSONError(.badEscape, at: index)
            }
        }
        return hex(start)
    }

    /// Four hexadecimal digits that have been checked.
    private func hex(_ start: Int) -> UInt32 {
        var value: UInt32 = 0
        for index in start..<start + 4 {
            let c = byte(index)
            let digit = c <= 0x39 ? c &- 0x30 : (c | 0x20) &- 0x57
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    private static func unescaped(_ letter: UInt8) -> UInt8? {
        switch letter {
        case 0x22, 0x5C, 0x2F: letter
        case 0x62: 0x08
        case 0x66: 0x0C
        case 0x6E: 0x0A
        case 0x72: 0x0D
        case 0x74: 0x09
        default: nil
        }
    }

    private static func append(_ value: UInt32, to out: inout [UInt8]) {
        guard let scalar = Unicode.Scalar(value) else { return }
        out.append(contentsOf: String(Character(scalar)).utf8)
    }
}
